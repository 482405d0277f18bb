"""Saying that no worker is running: Ray waits for room without a word, which looks like a hang."""

from pipelines.core.progress import tell
from pipelines.running.ray.capacity import amounts, asked
from pipelines.running.ray.flag import Flag
from pipelines.training.config import ComputeConfig

SILENT_S = 60.0
"""Longer than workers take to start on most clusters."""


class Silence:
    """Says once that no worker is running, and once that they are again.

    Args:
        compute: of the run.
        flag: that its workers ask.
    """

    def __init__(self, compute: ComputeConfig, flag: Flag) -> None:
        self._compute, self._flag = compute, flag
        self._told = False

    def __call__(self, silent_s: float) -> None:
        """Say what has changed, given the seconds since a worker was last heard."""
        silent = silent_s > SILENT_S
        if silent != self._told:
            tell(f"train: {self._missing() if silent else 'workers are running'}")
        self._told = silent

    def _missing(self) -> str:
        free = self._flag.free()
        left = "unknown" if free is None else amounts([free])
        return f"no worker is running: {asked(self._compute)} asked for, free now: {left}; waiting"
