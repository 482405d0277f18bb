"""The time that a search has had, over all interruptions."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.core.records import read_json, write_json_atomic

SPENT = "spent.json"
SAVE_EVERY_S = 5.0


@dataclass
class Clock:
    """Counts it.

    Attributes:
        folder: of the search.
        minutes: its budget; None for no end.
    """

    folder: Path
    minutes: float | None
    _before: float = field(init=False)
    _began: float = field(init=False, default_factory=time.monotonic)
    _saved: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        path = self.folder / SPENT
        self._before = float(read_json(path)["seconds"]) if path.exists() else 0.0

    @property
    def spent_s(self) -> float:
        """So far."""
        return self._before + time.monotonic() - self._began

    @property
    def left_s(self) -> float | None:
        """Of the budget; None without an end."""
        return None if self.minutes is None else 60 * self.minutes - self.spent_s

    def up(self) -> bool:
        """Whether the budget is spent; asked now and then, it also writes down what is."""
        if self.spent_s - self._saved >= SAVE_EVERY_S:
            self._saved = self.spent_s
            write_json_atomic(self.folder / SPENT, {"seconds": round(self.spent_s, 1)})
        return self.left_s is not None and self.left_s <= 0
