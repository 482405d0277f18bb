"""At which strengths of the degradation a task is evaluated."""

from collections.abc import Mapping
from difflib import get_close_matches

from pipelines.core.errors import ConfigError
from pipelines.tasks import Task


def levels_of(task: Task, asked: Mapping[str, float]) -> dict[str, float]:
    """The task's own levels, those that were asked for in their place.

    Raises:
        ConfigError: a level that the task does not have.
    """
    known = dict(task.levels)
    for name in asked:
        if name not in known:
            raise ConfigError(f"params.yaml: unknown key 'evaluate.levels.{name}'{_hint(name, task)}")
    return known | dict(asked)


def _hint(name: str, task: Task) -> str:
    close = get_close_matches(name, list(task.levels), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; {task.name} has {', '.join(task.levels) or 'no levels'}"
