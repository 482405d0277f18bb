"""The command line as a function."""

from typer.testing import CliRunner, Result

from pipelines.cli import app


def tunable(*arguments: object) -> Result:
    """What the command ``tunable`` says and how it ends."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
