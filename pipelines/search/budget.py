"""Budget of a search: the time it may take, over all interruptions, and how many trials run concurrently."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.core.errors import ConfigError
from pipelines.core.records import read_json, write_json_atomic
from pipelines.running.ray.capacity import Capacity
from pipelines.training.config import ComputeConfig

SPENT = "spent.json"
SAVE_EVERY_S = 5.0


class TimeBudget:
    """Counts the time that a search has run, including earlier starts.

    Args:
        folder: of the search's state.
        minutes: the budget; None for no limit.
    """

    def __init__(self, folder: Path, minutes: float | None) -> None:
        self._path, self._minutes = folder / SPENT, minutes
        before = float(read_json(self._path)["seconds"]) if self._path.exists() else 0.0
        self._start = time.monotonic() - before
        self._saved = 0.0

    @property
    def spent_s(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._start

    @property
    def left_s(self) -> float | None:
        """Seconds left; None without a limit."""
        return None if self._minutes is None else 60 * self._minutes - self.spent_s

    def is_spent(self) -> bool:
        """Whether no time is left; regular calls also save the time spent."""
        if self.spent_s - self._saved >= SAVE_EVERY_S:
            self._saved = self.spent_s
            write_json_atomic(self._path, {"seconds": round(self.spent_s, 1)})
        return self.left_s is not None and self.left_s <= 0


def count_concurrent_trials(
    nodes: Sequence[Mapping[str, float]], compute: ComputeConfig, requested: int | None
) -> int:
    """How many trials fit with all their workers at once, so that none waits for another's.

    The driver of a trial with several workers only waits, and takes no CPU.

    Args:
        nodes: resources of each, by Ray's names.
        compute: of every trial.
        requested: how many are wanted; None for as many as fit.

    Raises:
        ConfigError: not even one fits, or not as many as requested.
    """
    capacity = Capacity.of(nodes, compute)
    workers = compute.most_workers if compute.runner == "ray" else 1
    fit = capacity.fit // workers
    wanted = requested or 1
    if fit < wanted:
        each = f"{compute.threads} CPUs" + " and 1 GPU" * compute.use_gpu
        has = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise ConfigError(
            f"search: concurrent trials ({wanted}) x workers ({workers}) x {each} need capacity for "
            f"{wanted * workers} workers; the cluster has capacity for {capacity.fit} (by node: {has}), "
            f"that is {fit} trials; lower search.concurrent, search.workers or train.compute.threads"
        )
    return requested or fit
