"""What a slider may be optimised for: the names, which way is better, and which of them a task has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch

from pipelines.core.errors import ConfigError
from pipelines.search.scoring.measure_config import MeasureConfig
from pipelines.tasks import Task

PROBE_PX = 64


@dataclass(frozen=True)
class Measure:
    """One number of a score.

    Attributes:
        mode: whether more or less of it is better.
        sentence: what it says.
    """

    mode: Literal["max", "min"]
    sentence: str


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "hypervolume": Measure(
            "max", "Share of the space of all objectives that the grid's settings dominate, 0 to 1."
        ),
        "endpoint_loss": Measure(
            "min", "Loss at the ends of the sliders, each by its own objective, as a share of the reference."
        ),
        "grid_loss": Measure("min", "The task's own loss, mean over the grid's settings, in its own unit."),
        "psnr_own": Measure(
            "max", "PSNR in dB to the picture that each setting asks for, mean over the grid."
        ),
        "violations": Measure("min", "Share of slider steps whose own metric falls, 0 to 1."),
        "range_db": Measure(
            "max", "Rise of a slider's own metric in dB from end to end, of the one that does least."
        ),
        "specialist_gap_mean": Measure("min", "What is missing to the specialists in dB, mean over them."),
        "specialist_gap_worst": Measure("min", "What is missing to the specialists in dB, largest of them."),
    }
)
"""Every measure, by name; formulae in :mod:`pipelines.search.scoring.judge`."""


def measures_of(task: Task, config: MeasureConfig) -> tuple[str, ...]:
    """Names of the measures that the task and the options have, in the order of ``MEASURES``."""
    missing = set()
    if is_conditional(task):  # each level is another input, so there is no front between them
        missing.add("hypervolume")
    if not _has_aims(task):
        missing.add("psnr_own")
    if not config.specialists:
        missing |= {"specialist_gap_mean", "specialist_gap_worst"}
    return tuple(name for name in MEASURES if name not in missing)


def check_objectives(names: Iterable[str], task: Task, config: MeasureConfig) -> None:
    """Refuse to optimise what will not be measured.

    Raises:
        ConfigError: a name that is no measure, or one that the task or the options do not have; the
            sentence lists those that they have.
    """
    available = measures_of(task, config)
    for name in names:
        if name not in available:
            raise ConfigError(
                f"params.yaml: search.objectives: {name!r} {_reason(name, task)}; "
                f"available are {', '.join(available)}"
            )


def is_conditional(task: Task) -> bool:
    """Whether a control tells the network what it faces."""
    return any(control.kind == "condition" for control in task.space.controls)


def _has_aims(task: Task) -> bool:
    # Whether a setting asks for one picture is known from an example alone.
    clean = torch.zeros(1, 3, PROBE_PX * task.scale, PROBE_PX * task.scale)
    example = task.degrade(clean, task.levels, ("probe",))
    return task.aim(example, task.space.omega().unsqueeze(0)) is not None


def _reason(name: str, task: Task) -> str:
    if name not in MEASURES:
        return "is no measure"
    if name == "hypervolume":
        return f"is not defined for {task.name}, whose controls name what the network faces"
    if name == "psnr_own":
        return f"is not defined for {task.name}, whose settings ask for no one picture"
    return "needs search.measure.specialists"
