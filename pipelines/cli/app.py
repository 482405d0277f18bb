"""The table of commands, and what a known error looks like."""

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipelines.cli.apply import apply
from pipelines.cli.assignments import AssignmentCommand
from pipelines.cli.doctor import doctor
from pipelines.cli.export import export
from pipelines.cli.serve import serve
from pipelines.cli.stages import recipe, run, search, track
from pipelines.cli.zoo import zoo
from pipelines.core.errors import DEBUG, describe_error


class _Shell(TyperGroup):
    """Known errors become one line on stderr and exit code 1; unknown ones keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            message = describe_error(error)
            if message is None or os.environ.get(DEBUG) == "1":
                raise
            typer.echo(f"tunable: {' '.join(message.split())}", err=True)
            sys.exit(1)


app = typer.Typer(
    name="tunable",
    cls=_Shell,
    help="Train, search, publish, use and serve image-restoration networks with sliders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"tunable {version('tunable-zoo')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(run)
app.command()(search)
app.command()(recipe)
app.command()(track)
app.add_typer(zoo, name="zoo")
app.command(cls=AssignmentCommand)(apply)
app.command(cls=AssignmentCommand)(export)
app.command()(serve)
app.command()(doctor)
