"""The table of commands, and what a known error looks like."""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from pipelines.cli.apply import AssignmentCommand, apply
from pipelines.cli.doctor import doctor
from pipelines.cli.export import export
from pipelines.cli.serve import serve
from pipelines.cli.zoo import zoo
from pipelines.errors import sentence

DEBUG = "TUNABLE_DEBUG"
"""Environment variable: 1 shows the traceback of known errors too."""


class _Shell(TyperGroup):
    """Known errors become one line on stderr and exit code 1; unknown ones keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            message = sentence(error)
            if message is None or os.environ.get(DEBUG) == "1":
                raise
            typer.echo(f"tunable: {' '.join(message.split())}", err=True)
            sys.exit(1)


app = typer.Typer(
    name="tunable",
    cls=_Shell,
    help="Image-restoration networks with sliders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(zoo, name="zoo")
app.command(cls=AssignmentCommand)(apply)
app.command(cls=AssignmentCommand)(export)
app.command()(serve)
app.command()(doctor)
