"""Tasks: a degradation, its targets, its controls and its loss.

The closed list of what ``train.task.name`` may say.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.tasks.denoise_deblur import DenoiseDeblur, DenoiseDeblurConfig
from pipelines.tasks.gaussian_noise import (
    DenoiseStrength,
    DenoiseStrengthConfig,
    NoiseLevel,
    NoiseLevelConfig,
    ThreeObjectives,
    ThreeObjectivesConfig,
)
from pipelines.tasks.real_world import RealWorld, RealWorldConfig
from pipelines.tasks.style_transfer import StyleTransfer, StyleTransferConfig
from pipelines.tasks.super_resolution import SuperResolution, SuperResolutionConfig
from pipelines.tasks.task import Example, Key, Task

__all__ = [
    "TASKS",
    "DenoiseDeblur",
    "DenoiseDeblurConfig",
    "DenoiseStrength",
    "DenoiseStrengthConfig",
    "Example",
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
    "ThreeObjectives",
    "ThreeObjectivesConfig",
    "make_task",
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
"""Every task."""

TaskConfig = Annotated[
    NoiseLevelConfig
    | DenoiseStrengthConfig
    | DenoiseDeblurConfig
    | SuperResolutionConfig
    | StyleTransferConfig
    | RealWorldConfig
    | ThreeObjectivesConfig,
    Field(discriminator="name"),
]
"""The options of any task, by their name."""


def make_task(config: TaskConfig, root: Path = Path()) -> Task:
    """The task of that configuration; relative paths in it start at ``root``.

    Nothing is read before the task's loss, materials or metrics are asked for.
    """
    match config:
        case NoiseLevelConfig():
            return NoiseLevel(config)
        case DenoiseStrengthConfig():
            return DenoiseStrength(config)
        case DenoiseDeblurConfig():
            return DenoiseDeblur(config)
        case SuperResolutionConfig():
            return SuperResolution(config, root)
        case StyleTransferConfig():
            return StyleTransfer(config, root)
        case RealWorldConfig():
            return RealWorld(config)
        case ThreeObjectivesConfig():
            return ThreeObjectives(config)
