"""How many trials a cluster trains at a time; what could never run is refused with the arithmetic."""

from collections.abc import Mapping, Sequence

from pipelines.core.errors import ConfigError
from pipelines.running.ray.capacity import Room
from pipelines.training.config import ComputeConfig


def trials_at_a_time(nodes: Sequence[Mapping[str, float]], compute: ComputeConfig, asked: int | None) -> int:
    """How many trials have room for all their workers at once, so that none waits for another's.

    A trial of several workers has a driver beside them, which waits and takes no CPU.

    Args:
        nodes: what each has, by Ray's names.
        compute: of every trial.
        asked: how many are wanted; None for as many as fit.

    Raises:
        ConfigError: there is no room for one, or for as many as are asked for.
    """
    room = Room.of(nodes, compute)
    workers = compute.most_workers if compute.runner == "ray" else 1
    fit = room.fit // workers
    if fit < (asked or 1):
        wanted = asked or 1
        kinds = f"{compute.threads} CPUs" + " and 1 GPU" * compute.use_gpu
        has = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise ConfigError(
            f"search: {wanted} trials at a time x {workers} workers x {kinds} need room for "
            f"{wanted * workers} workers; the cluster has room for {room.fit} (by node: {has}), which is "
            f"{fit} trials; lower search.concurrent, search.workers or train.compute.threads"
        )
    return asked or fit
