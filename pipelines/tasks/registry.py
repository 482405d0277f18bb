"""The registry of tasks, and ``train.task``: the options of any of them, by their name.

Tasks of other packages are entry points of the group ``tunable_zoo.tasks``, named after the task, that lead
to its class; :func:`register_task` adds one to this process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import SerializeAsAny, ValidationError, ValidationInfo, WrapValidator
from pydantic_core import PydanticCustomError

from pipelines.core.config import Section
from pipelines.core.errors import ConfigError
from tunable_models.registry import Registry

if TYPE_CHECKING:
    from pipelines.tasks.task import Task


class TaskOptions(Section):
    """Base of the options of every task, which say its name."""

    name: str

    @classmethod
    def resolve(cls, values: Any) -> type[Section]:
        """The options of the task that the values name; this class if they name none."""
        name = values.get("name") if isinstance(values, Mapping) else None
        try:
            return cls if name is None else get_task(name).config_class
        except ConfigError:
            return cls


def _check_task(name: str, item: object) -> type[Task]:
    from pipelines.tasks.task import Task

    if not (isinstance(item, type) and issubclass(item, Task)):
        raise ConfigError(f"expected a class of tasks for {name!r}, got {item!r}")
    if getattr(item, "name", None) != name:
        raise ConfigError(f"expected a task that is named {name!r}, got {getattr(item, 'name', 'no name')!r}")
    options = getattr(item, "config_class", None)
    if not (isinstance(options, type) and issubclass(options, TaskOptions)):
        raise ConfigError(f"expected a subclass of TaskOptions as config_class of {name!r}, got {options!r}")
    if options.model_fields["name"].default != name:
        raise ConfigError(f'expected the line  name: Literal["{name}"] = "{name}"  in {options.__name__}')
    return item


_REGISTRY: Registry[type[Task]] = Registry(
    "task", "tunable_zoo.tasks", error=ConfigError, check=_check_task, definition=lambda task: task
)


def add_builtin_task(task: type[Task]) -> None:
    """Add a task of this package."""
    _REGISTRY.add_builtin(task.name, task)


def register_task(task: type[Task]) -> type[Task]:
    """Add a task, so that ``train.task.name`` can name it in this process.

    Args:
        task: with ``name``, ``description`` and ``config_class``, the :class:`TaskOptions` it is made from.

    Returns:
        The same class, so that this can decorate it.

    Raises:
        ConfigError: another task has that name, or a part is missing.
    """
    return _REGISTRY.register(getattr(task, "name", ""), task)


def get_task(name: str) -> type[Task]:
    """The task of that name.

    Raises:
        ConfigError: there is none, or its package cannot be loaded.
    """
    return _REGISTRY.get(name)


def list_tasks() -> list[str]:
    """Names of all tasks, those of this package first."""
    return _REGISTRY.names()


def registered_here(name: str) -> type[Task] | None:
    """The task if a call in this process registered it; None if every process knows it."""
    return _REGISTRY.registered(name)


def _parse_options(value: Any, handler: Any, info: ValidationInfo) -> Any:
    """Options as the model of the task that they name; its faults keep their places."""
    if not isinstance(value, Mapping):
        return handler(value)  # options already, or refused
    name = value.get("name")
    try:
        if not isinstance(name, str):
            raise ConfigError(f"expected one of {', '.join(list_tasks())}")
        model = get_task(name).config_class
    except ConfigError as error:
        fault = PydanticCustomError("unknown_task", "{reason}", {"reason": str(error)})
        raise ValidationError.from_exception_data(
            "task", [{"type": fault, "loc": ("name",), "input": name}]
        ) from error
    if info.mode == "json":  # where a strict model takes a list for a tuple
        return model.model_validate_json(json.dumps(value))
    return model.model_validate(value)


TaskConfig = Annotated[SerializeAsAny[TaskOptions], WrapValidator(_parse_options)]
"""The options of any task, by their name."""
