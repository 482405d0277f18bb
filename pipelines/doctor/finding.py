"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing.

    Attributes:
        check: which one, in a word or two.
        level: ``fault`` keeps a stage from running or from ending well; ``warning`` is worth a look.
        message: what was found.
        remedy: what to do about it; empty if all is well.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class About:
    """Makes the findings of one check."""

    check: str

    def ok(self, message: str) -> Finding:
        """All is well."""
        return Finding(self.check, "ok", message)

    def warning(self, message: str, remedy: str) -> Finding:
        """It works, and may disappoint."""
        return Finding(self.check, "warning", message, remedy)

    def fault(self, message: str, remedy: str) -> Finding:
        """It will not work."""
        return Finding(self.check, "fault", message, remedy)
