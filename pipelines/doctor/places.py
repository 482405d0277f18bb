"""Room for workers on the nodes of a cluster. Ray itself would wait for it without a word."""

from collections.abc import Sequence

from pipelines.doctor.finding import About, Finding
from pipelines.running.ray.capacity import Resources, Room
from pipelines.training.config import ComputeConfig

ABOUT = About("cluster")


def places(nodes: Sequence[Resources], compute: ComputeConfig) -> Finding:
    """Workers that fit onto the nodes, each on one, against those that are asked for.

    Args:
        nodes: what each has when nothing runs, by Ray's names.
        compute: what is asked for.
    """
    room = Room.of(nodes, compute)
    remedy = "lower train.compute.workers or threads, or join a larger cluster"
    if not room.enough:
        return ABOUT.fault(str(room), remedy)
    return ABOUT.ok(str(room)) if room.ample else ABOUT.warning(str(room), remedy)
