"""What commands share: known errors, optional packages, ``--set``, stores and printing.

Light: every command imports this, and ``tunable --help`` with them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from pipelines.core.errors import DEBUG, ConfigError, PipelineError, describe_error
from pipelines.core.layout import Layout
from pipelines.core.sliders import parse_value

if TYPE_CHECKING:
    from zoo import Store

EXTRAS = {
    "pipelines": ("ray", "mlflow", "dvc", "yaml", "packaging"),
    "serve": ("ray", "fastapi", "python_multipart", "yaml"),
    "export": ("onnx", "onnxscript"),
}
"""Modules that each extra of the package installs."""

PIPE_WIDTH = 10_000
"""Columns when stdout is no terminal: enough to keep one row on one line."""

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")


@contextmanager
def report_known_errors(prefix: str) -> Iterator[None]:
    """Turn a known error into one line on stderr and exit code 1; any other keeps its traceback."""
    try:
        yield
    except Exception as error:
        message = describe_error(error)
        if message is None or os.environ.get(DEBUG) == "1":
            raise
        typer.echo(f"{prefix}: {' '.join(message.split())}", err=True)
        raise typer.Exit(1) from error


def require_extra(extra: str) -> None:
    """Check that an extra is installed, before an import fails.

    Raises:
        PipelineError: a module is missing; the message says what to install.
    """
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        raise PipelineError(f"this needs {', '.join(missing)}: pip install 'tunable-zoo[{extra}]'")


class AssignmentCommand(TyperCommand):
    """Lets one ``--set`` take several assignments: ``--set a=1 b=2`` is ``--set a=1 --set b=2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put each assignment behind its own ``--set``."""
        spread: list[str] = []
        for arg in args:
            follows = len(spread) > 1 and spread[-2] == "--set" and _ASSIGNMENT.fullmatch(arg)
            spread += ["--set", arg] if follows else [arg]
        return super().parse_args(ctx, spread)


def parse_assignments(assignments: list[str]) -> dict[str, float]:
    """Slider values from ``NAME=VALUE`` texts.

    Raises:
        ConfigError: an invalid assignment or value, or a slider that is set twice.
    """
    values: dict[str, float] = {}
    for assignment in assignments:
        name, mark, text = assignment.partition("=")
        if not mark:
            raise ConfigError(f"--set: expected NAME=VALUE such as denoise=0.7, got {assignment!r}")
        if name in values:
            raise ConfigError(f"--set: {name} is set twice; keep one")
        values[name] = parse_value(name, text)
    return values


def find_work_tree() -> Layout | None:
    """The work tree that holds the current folder, if there is one."""
    try:
        return Layout.find()
    except ConfigError:
        return None


def list_stores() -> list[Store]:
    """The work tree's own store, if it has published anything, before the default ones."""
    from pipelines.publish.receipt import WorkTreeStore
    from zoo import default_stores

    layout = find_work_tree()
    has_published = layout and (layout.store.is_dir() or layout.receipt.is_file())
    local = [WorkTreeStore(layout.store, layout.receipt)] if layout and has_published else []
    return [*local, *default_stores()]


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, wrapped to fit a terminal.

    Args:
        head: titles of the columns; empty prints none.
        rows: texts of the cells.
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
    """Print indented JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def echo_log(name: str) -> Iterator[None]:
    """Print what a logger gets, as a line each on stderr, within the block."""
    logger, handler = logging.getLogger(name), _EchoHandler(logging.INFO)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a handler of the root would print it again
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _EchoHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(record.getMessage(), err=True)
