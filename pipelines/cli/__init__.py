"""The command ``tunable``. Commands import what they need when they run, so that all start quickly."""

from pipelines.cli.app import app


def main() -> None:
    """Entry point of the command line."""
    app()
