"""At which strengths of the degradation a task is evaluated."""

from collections.abc import Mapping

from pipelines.core.errors import ConfigError, suggest_name
from pipelines.tasks import Task


def levels_of(task: Task, asked: Mapping[str, float]) -> dict[str, float]:
    """The task's own levels, those that were asked for in their place.

    Raises:
        ConfigError: a level that the task does not have.
    """
    known = dict(task.levels)
    for name in asked:
        if name not in known:
            hint = suggest_name(name, task.levels, f"{task.name} has")
            raise ConfigError(f"params.yaml: unknown key 'evaluate.levels.{name}'{hint}")
    return known | dict(asked)
