"""Where the time goes before the first step."""

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pipelines.core.disk import explain_full_disk
from pipelines.core.errors import TrainingError
from pipelines.core.records import read_json, write_json_atomic

FILE = "startup.json"
PARTS = ("cluster", "workers", "network")
"""In the order of time."""


@dataclass(frozen=True)
class Startup:
    """Seconds by part.

    ``cluster`` is to reach or start Ray, ``workers`` to place and join them, ``network`` to open the
    photographs and build the network.

    Attributes:
        since: when the last part ended, in seconds since 1970: parts begin and end on different machines,
            whose clocks may differ a little.
        parts: in the order of time.
    """

    since: float
    parts: dict[str, float] = field(default_factory=dict)

    @classmethod
    def now(cls) -> Self:
        """The first part begins."""
        return cls(time.time())

    def mark(self, part: str) -> Self:
        """The part ends, and another one begins."""
        now = time.time()
        return replace(self, since=now, parts={**self.parts, part: max(0.0, round(now - self.since, 2))})

    def plain(self) -> dict[str, Any]:
        """As builtin types."""
        return asdict(self)

    def write(self, folder: Path) -> None:
        """Leave the parts in the folder of a run.

        Raises:
            TrainingError: the disk is full.
        """
        with explain_full_disk(folder, "free some and run again", kind=TrainingError):
            write_json_atomic(folder / FILE, self.parts)


def read_startup(folder: Path) -> dict[str, float]:
    """The parts that the run's last start took, in their order; empty if it did not come that far."""
    path = folder / FILE
    found = read_json(path) if path.exists() else {}
    return {part: found[part] for part in PARTS if part in found}
