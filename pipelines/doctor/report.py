"""How findings are shown: aligned lines for people, in colour on a terminal, or JSON."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.doctor.finding import Finding

STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}
WIDTH = 10
"""Columns of the name of a check."""
PIPE_WIDTH = 10_000
"""Columns where there is no terminal: enough to keep a finding on a line."""


def report(findings: Iterable[Finding], stream: TextIO | None = None) -> bool:
    """Print findings as they come, and a line that counts them.

    Args:
        findings: in the order of their lines.
        stream: to print on; standard output by default.

    Returns:
        Whether there is no fault.
    """
    stream = stream or sys.stdout
    terminal = stream.isatty()
    console = Console(file=stream, force_terminal=terminal, width=None if terminal else PIPE_WIDTH)
    counts = dict.fromkeys(STYLES, 0)
    for finding in findings:
        counts[finding.level] += 1
        console.print(*_rows(finding), sep="\n")
    counted = ", ".join(f"{count} {level}" for level, count in counts.items())
    console.print(Text(counted, style=STYLES["fault"] if counts["fault"] else ""))
    return not counts["fault"]


def report_json(findings: Iterable[Finding], stream: TextIO | None = None) -> bool:
    """Print all findings as one JSON list; whether there is no fault."""
    found = list(findings)
    print(json.dumps([asdict(finding) for finding in found], indent=2), file=stream or sys.stdout)
    return all(finding.level != "fault" for finding in found)


def _rows(finding: Finding) -> Iterator[Table]:
    yield _row(Text(finding.level, style=STYLES[finding.level]), finding.check, finding.message)
    if finding.remedy:
        yield _row(Text(), "", f"-> {finding.remedy}")


def _row(level: Text, check: str, sentence: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=max(map(len, STYLES)))
    table.add_column(width=WIDTH)
    table.add_column(overflow="fold")
    table.add_row(level, Text(check), Text(sentence))
    return table
