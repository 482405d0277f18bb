"""How commands print: columns for people, JSON for programs, and what a library logs meanwhile."""

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

PIPE_WIDTH = 10_000
"""Columns when stdout is no terminal: enough to keep one row on one line."""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns on stdout, wrapped to fit a terminal.

    Args:
        head: the titles; empty prints none.
        rows: one text a cell, as many cells in each.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None, show_header=bool(head), pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))
    # rich gives every pipe 80 columns, and would cut versions in two.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(table)


def print_json(value: object) -> None:
    """``value`` on stdout as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def told(logger: str) -> Iterator[None]:
    """Print what is logged under that name, as a line each on stderr, while the block runs."""
    source, handler = logging.getLogger(logger), _Lines(logging.INFO)
    level, propagate = source.level, source.propagate
    source.addHandler(handler)
    source.setLevel(logging.INFO)
    source.propagate = False  # once is enough
    try:
        yield
    finally:
        source.removeHandler(handler)
        source.setLevel(level)
        source.propagate = propagate


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(record.getMessage(), err=True)
