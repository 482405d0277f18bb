"""The road from photographs to a slider: DVC stages, Ray Train jobs, tracking, evaluation and serving.

``pipelines.train`` trains a network and a task of one's own from Python; it and what it needs are imported
when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.api import Trained, train
    from pipelines.tasks import CustomTask, Example, Task, TaskOptions, register_task

__all__ = ["CustomTask", "Example", "Task", "TaskOptions", "Trained", "register_task", "train"]


def __getattr__(name: str) -> Any:
    """A public name, with the modules that it needs: commands start without them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "pipelines.api" if name in ("train", "Trained") else "pipelines.tasks"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
