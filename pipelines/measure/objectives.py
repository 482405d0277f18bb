"""What a search may optimize sliders for: the options, the measures, and which of them a task has."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import Field, PositiveFloat

from pipelines.core.config import Section
from pipelines.core.errors import ConfigError
from pipelines.tasks import Task

PROBE_PX = 64


class SpecialistConfig(Section):
    """A network that is good at one setting, which the tunable one is measured against there."""

    at: dict[str, float]
    """The setting: native values by the control's name; unset controls take their defaults."""
    train: str
    """Folder of a ``train`` stage's artefacts, absolute or relative to the work tree."""


class MeasureConfig(Section):
    """Section ``search.measure`` of ``params.yaml``: the photographs and settings a network is scored on."""

    photos: int | None = Field(default=None, ge=1)
    """How many of the validation photographs, the first ones; null for all."""
    crop_px: int = Field(default=96, ge=16)
    """Side of the center crop of each; a smaller photograph is refused."""
    grid: int = Field(default=3, ge=2)
    """Positions of each slider for the losses and the front."""
    steps: int = Field(default=5, ge=2)
    """Positions of each slider where monotonicity is counted."""
    tolerance_db: float = Field(default=0.01, ge=0)
    """A larger fall of a slider's own metric is a violation."""
    batch: int = Field(default=4, ge=1)
    """Photographs that go through the network together; on CPUs few at a time are faster."""
    reference: tuple[PositiveFloat, ...] | None = None
    """What the loss of each vertex of the sliders' space is divided by, in the loss's unit and the order of
    the vertices; null takes it from the photographs, see :mod:`pipelines.measure.references`."""
    specialists: tuple[SpecialistConfig, ...] = ()
    """Networks to measure against."""


MEASURES: Mapping[str, Literal["max", "min"]] = MappingProxyType(
    {
        "hypervolume": "max",
        "endpoint_loss": "min",
        "grid_loss": "min",
        "psnr_own": "max",
        "violations": "min",
        "range_db": "max",
        "specialist_gap_mean": "min",
        "specialist_gap_worst": "min",
    }
)
"""Every measure and whether more or less of it is better; formulas in :mod:`pipelines.measure.judge`."""


def available_measures(task: Task, config: MeasureConfig) -> tuple[str, ...]:
    """Names of the measures that the task and the options have, in the order of ``MEASURES``."""
    missing = set()
    if is_conditional(task):  # each level is another input, so there is no front between them
        missing.add("hypervolume")
    if not _has_target(task):
        missing.add("psnr_own")
    if not config.specialists:
        missing |= {"specialist_gap_mean", "specialist_gap_worst"}
    return tuple(name for name in MEASURES if name not in missing)


def check_objectives(names: Iterable[str], task: Task, config: MeasureConfig) -> None:
    """Refuse objectives that will not be measured.

    Raises:
        ConfigError: an unknown measure, or one that the task or the options do not have; the message lists
            the available ones.
    """
    available = available_measures(task, config)
    for name in names:
        if name not in available:
            raise ConfigError(
                f"params.yaml: search.objectives: {name!r} {_explain_missing(name, task)}; "
                f"available are {', '.join(available)}"
            )


def is_conditional(task: Task) -> bool:
    """Whether a control describes the input, such as its noise level: settings have different inputs."""
    return any(control.kind == "condition" for control in task.space.controls)


def _has_target(task: Task) -> bool:
    # Whether a setting asks for one picture is known from an example alone.
    clean = torch.zeros(1, 3, PROBE_PX * task.scale, PROBE_PX * task.scale)
    example = task.degrade(clean, task.levels, ("probe",))
    return task.target(example, task.space.omega().unsqueeze(0)) is not None


def _explain_missing(name: str, task: Task) -> str:
    if name not in MEASURES:
        return "is not a measure"
    if name == "hypervolume":
        return f"is not defined for {task.name}, whose condition controls each come with another input"
    if name == "psnr_own":
        return f"is not defined for {task.name}, whose settings do not ask for one picture"
    return "needs search.measure.specialists"
