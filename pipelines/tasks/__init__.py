"""Tasks: a degradation, its targets, its controls and its loss.

``train.task.name`` names one of these, or one that was registered.
"""

from pathlib import Path

from pipelines.tasks.denoise_deblur import DenoiseDeblur, DenoiseDeblurConfig
from pipelines.tasks.distances import Distance
from pipelines.tasks.gaussian_noise import (
    DenoiseStrength,
    DenoiseStrengthConfig,
    NoiseLevel,
    NoiseLevelConfig,
    ThreeObjectives,
    ThreeObjectivesConfig,
)
from pipelines.tasks.given import CustomTask, GivenTask
from pipelines.tasks.real_world import RealWorld, RealWorldConfig
from pipelines.tasks.registry import (
    TaskConfig,
    TaskOptions,
    add_builtin_task,
    get_task,
    list_tasks,
    register_task,
    registered_here,
)
from pipelines.tasks.style_transfer import StyleTransfer, StyleTransferConfig
from pipelines.tasks.super_resolution import SuperResolution, SuperResolutionConfig
from pipelines.tasks.task import BlendedTask, Example, Key, Task

__all__ = [
    "TASKS",
    "BlendedTask",
    "CustomTask",
    "DenoiseDeblur",
    "DenoiseDeblurConfig",
    "DenoiseStrength",
    "DenoiseStrengthConfig",
    "Distance",
    "Example",
    "GivenTask",
    "Key",
    "NoiseLevel",
    "NoiseLevelConfig",
    "RealWorld",
    "RealWorldConfig",
    "StyleTransfer",
    "StyleTransferConfig",
    "SuperResolution",
    "SuperResolutionConfig",
    "Task",
    "TaskConfig",
    "TaskOptions",
    "ThreeObjectives",
    "ThreeObjectivesConfig",
    "get_task",
    "list_tasks",
    "make_task",
    "register_task",
    "registered_here",
]

TASKS: tuple[type[Task], ...] = (
    NoiseLevel,
    DenoiseStrength,
    DenoiseDeblur,
    SuperResolution,
    StyleTransfer,
    RealWorld,
    ThreeObjectives,
)
"""The tasks of this package; :func:`list_tasks` names those of other packages too."""

for _task in TASKS:
    add_builtin_task(_task)


def make_task(config: TaskConfig, root: Path = Path()) -> Task:
    """The task of that configuration; relative paths in it start at ``root``.

    Nothing is read before the task's loss, materials or metrics are asked for.

    Raises:
        ConfigError: no task of that name is registered in this process.
    """
    if isinstance(config, GivenTask):
        return config.make()
    return get_task(config.name).from_config(config, root)
