"""A network at every setting on every test photograph, and condition controls at every strength.

A condition control, such as the level of the noise, describes the input. At each of its grid positions
photographs are degraded just so, and the network runs at all positions: the matching one should be best, or
as good as its neighbors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipelines.core.progress import Display
from pipelines.features.lpips import LPIPS
from pipelines.measure.photographs import Batches, Photographs, upscale_inputs
from pipelines.measure.scores import PhotoJudge, PhotoScore, Scores
from pipelines.measure.settings import (
    Setting,
    default_setting,
    equal_positions,
    grid_settings,
    slider_sweeps,
)
from pipelines.tasks import Example, Task
from pipelines.tasks.distances import psnr_clamped
from tunable_models import ControlSpace
from tunable_models.metrics import NIQE

Runner = Callable[[Tensor, Setting], Tensor]
"""From inputs (1, 3, H, W) and a setting to the output (1, 3, sH, sW)."""


@dataclass(frozen=True)
class Condition:
    """An input that a condition control describes.

    Attributes:
        name: of the control.
        settings: the control at each grid position, the others at their defaults.
        truth: index of the setting that describes the input truly.
        levels: what the degradation is there.
    """

    name: str
    settings: tuple[Setting, ...]
    truth: int
    levels: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True)
class ConditionScore:
    """One photograph: PSNR in dB to the clean image of the input, and of the output at each setting."""

    psnr_input: float
    psnr: tuple[float, ...]


@dataclass(frozen=True)
class SliderScores:
    """All that was measured.

    Attributes:
        levels: strengths of the degradation.
        inputs: scores of the degraded inputs, one a photograph.
        outputs: scores of the outputs at every setting.
        conditions: of every photograph, by what a condition control describes.
    """

    levels: Mapping[str, float]
    inputs: list[PhotoScore]
    outputs: Scores
    conditions: Mapping[Condition, list[ConditionScore]] = field(default_factory=dict)


def measure_sliders(
    runner: Runner, photographs: Photographs, lpips: LPIPS, niqe: NIQE | None = None, *, grid: int, steps: int
) -> SliderScores:
    """Score inputs and outputs at ``grid`` positions of each slider together and ``steps`` of each alone.

    Raises:
        DataError: a photograph is too small to be measured, or too flat for NIQE.
    """
    task = photographs.task
    settings, conditions = all_settings(task.space, grid, steps), list_conditions(task, grid)
    inputs: list[PhotoScore] = []
    outputs: dict[Setting, list[PhotoScore]] = {setting: [] for setting in settings}
    faced: dict[Condition, list[ConditionScore]] = {condition: [] for condition in conditions}
    total = len(photographs) * (len(settings) + sum(len(c.settings) for c in conditions))
    with Display("evaluate", total=total, unit="output", rated="outputs") as display:
        for number in range(len(photographs)):
            [photograph] = Batches(photographs, [number]).at_usual_levels()
            judge = PhotoJudge(task, photograph, lpips, niqe)
            degraded = photograph.raw.inputs
            inputs.append(judge.score_input(upscale_inputs(degraded, judge.clean)))
            for setting in settings:
                outputs[setting].append(judge.score_output(runner(degraded, setting), setting))
                display.advance()
            for condition in conditions:
                example = photographs.degrade(number, condition.levels)
                faced[condition].append(score_condition(runner, example, condition, display.advance))
    return SliderScores(photographs.levels, inputs, outputs, faced)


def all_settings(space: ControlSpace, grid: int, steps: int) -> list[Setting]:
    """The grid, the sweeps and the default, each setting once."""
    along = [setting for sweep in slider_sweeps(space, steps) for setting in sweep.settings]
    return list(dict.fromkeys([*grid_settings(space, grid), *along, default_setting(space)]))


def list_conditions(task: Task, count: int) -> list[Condition]:
    """Every condition control at every grid position."""
    space, conditions = task.space, []
    for index, control in enumerate(space.controls):
        if control.kind != "condition":
            continue
        default = default_setting(space)
        settings = tuple((*default[:index], v, *default[index + 1 :]) for v in equal_positions(count))
        for truth, setting in enumerate(settings):
            levels = task.matched(torch.tensor(setting))
            if levels is not None:
                conditions.append(Condition(control.name, settings, truth, dict(levels)))
    return conditions


def score_condition(
    runner: Runner, example: Example, condition: Condition, tick: Callable[[], None] = lambda: None
) -> ConditionScore:
    """Run one photograph, degraded as the condition says, at every setting."""
    clean, values = example.targets["clean"], []
    for setting in condition.settings:
        values.append(psnr_clamped(runner(example.inputs, setting), clean).item())
        tick()
    return ConditionScore(psnr_clamped(upscale_inputs(example.inputs, clean), clean).item(), tuple(values))
