"""Duration of the parts of a start, measured across driver and workers."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pipelines.core.errors import TrainingError, explain_full_disk
from pipelines.core.records import read_json, write_json_atomic

FILE = "startup.json"
PARTS = ("cluster", "workers", "network")
"""In order."""


@dataclass(frozen=True)
class Startup:
    """Seconds by part; picklable.

    ``cluster`` is to reach or start Ray, ``workers`` to place and connect them, ``network`` to open the
    photographs and build the network.

    Attributes:
        since: when the last part ended, in seconds since 1970: parts begin and end on different machines,
            whose clocks may differ a little.
        parts: in order.
    """

    since: float = field(default_factory=time.time)
    parts: dict[str, float] = field(default_factory=dict)

    def mark(self, part: str) -> Self:
        """End a part, and begin the next one."""
        now = time.time()
        return replace(self, since=now, parts={**self.parts, part: max(0.0, round(now - self.since, 2))})

    def write(self, folder: Path) -> None:
        """Write the parts into the folder of a run.

        Raises:
            TrainingError: the disk is full.
        """
        with explain_full_disk(folder, "free some and run again", kind=TrainingError):
            write_json_atomic(folder / FILE, self.parts)


def read_startup(folder: Path) -> dict[str, float]:
    """The parts of the run's last start, in order; empty if it did not get that far."""
    path = folder / FILE
    found = read_json(path) if path.exists() else {}
    return {part: found[part] for part in PARTS if part in found}
