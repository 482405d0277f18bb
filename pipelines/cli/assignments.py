"""``--set NAME=VALUE``, which takes several."""

import re
from typing import Any

from typer.core import TyperCommand

from pipelines.core.errors import ConfigError
from pipelines.core.sliders import parse_value

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")


class AssignmentCommand(TyperCommand):
    """Lets one ``--set`` take several assignments: ``--set a=1 b=2`` is ``--set a=1 --set b=2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with each assignment behind its own ``--set``."""
        spread: list[str] = []
        for arg in args:
            follows = len(spread) > 1 and spread[-2] == "--set" and _ASSIGNMENT.fullmatch(arg)
            spread += ["--set", arg] if follows else [arg]
        return super().parse_args(ctx, spread)


def parse_assignments(assignments: list[str]) -> dict[str, float]:
    """``name=value`` texts as slider values.

    Raises:
        ConfigError: an assignment of another form, no number, or a slider that is set twice.
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
