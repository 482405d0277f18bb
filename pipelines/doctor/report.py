"""Findings of the checks, and how they are printed: aligned lines for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal, Self, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

Level = Literal["ok", "warning", "fault"]

STYLES: dict[Level, str] = {"ok": "green", "warning": "yellow", "fault": "bold red"}
NAME_WIDTH = 10
"""Columns for the name of a check."""
PIPE_WIDTH = 10_000
"""Columns without a terminal: enough to keep a finding on one line."""


@dataclass(frozen=True)
class Finding:
    """Result of one check about one thing.

    Attributes:
        check: name of the check.
        level: ``fault`` keeps a stage from completing; ``warning`` is worth a look.
        message: what was found, and what was expected if that differs.
        remedy: what to do about it; empty if nothing.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""

    @classmethod
    def ok(cls, check: str, message: str) -> Self:
        """Nothing to do."""
        return cls(check, "ok", message)

    @classmethod
    def warning(cls, check: str, message: str, remedy: str) -> Self:
        """A stage will run, but slowly or not as intended."""
        return cls(check, "warning", message, remedy)

    @classmethod
    def fault(cls, check: str, message: str, remedy: str) -> Self:
        """A stage will not run, or will fail."""
        return cls(check, "fault", message, remedy)


def print_findings(findings: Iterable[Finding], stream: TextIO | None = None) -> bool:
    """Print each finding as soon as it is known, then how many there are of each level.

    Args:
        findings: in the order of their lines.
        stream: standard output by default.

    Returns:
        Whether there is no fault.
    """
    stream = stream or sys.stdout
    terminal = stream.isatty()
    console = Console(file=stream, force_terminal=terminal, width=None if terminal else PIPE_WIDTH)
    counts = dict.fromkeys(STYLES, 0)
    for finding in findings:
        counts[finding.level] += 1
        console.print(*_make_rows(finding), sep="\n")
    total = ", ".join(f"{count} {level}" for level, count in counts.items())
    console.print(Text(total, style=STYLES["fault"] if counts["fault"] else ""))
    return not counts["fault"]


def print_findings_json(findings: Iterable[Finding], stream: TextIO | None = None) -> bool:
    """Print all findings as one JSON list; returns whether there is no fault."""
    found = list(findings)
    print(json.dumps([asdict(finding) for finding in found], indent=2), file=stream or sys.stdout)
    return all(finding.level != "fault" for finding in found)


def format_bytes(count: float) -> str:
    """A size in B, kB, MB, GB or TB: powers of ten, three significant digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _make_rows(finding: Finding) -> Iterator[Table]:
    yield _make_row(Text(finding.level, style=STYLES[finding.level]), finding.check, finding.message)
    if finding.remedy:
        yield _make_row(Text(), "", f"-> {finding.remedy}")


def _make_row(level: Text, check: str, sentence: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=max(map(len, STYLES)))
    table.add_column(width=NAME_WIDTH)
    table.add_column(overflow="fold")
    table.add_row(level, Text(check), Text(sentence))
    return table
