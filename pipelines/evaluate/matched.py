"""Condition controls: is a network at its best where it is told the truth?

A condition control, such as the level of the noise, says what the network faces. At each of its grid
positions photographs are degraded just so, and the network runs at all positions: the matching one
should be best, or as good as its neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch

from pipelines.evaluate.subject import Subject
from pipelines.measure.settings import Setting, default_setting, native, positions
from pipelines.measure.shown import enlarged
from pipelines.tasks import Example, Task
from pipelines.tasks.decibels import nearness
from tunable_models import ControlSpace


@dataclass(frozen=True)
class Face:
    """What a network faces where a condition control tells the truth.

    Attributes:
        name: of the control.
        settings: the control at each grid position, the others at their defaults.
        truth: index of the setting that tells the truth.
        levels: what the degradation is there.
    """

    name: str
    settings: tuple[Setting, ...]
    truth: int
    levels: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True)
class Match:
    """One photograph: PSNR in dB to the clean image of the input, and of the output at each setting."""

    psnr_input: float
    psnr: tuple[float, ...]


MatchedScores = dict[Face, list[Match]]
"""Of every photograph, by what the network faced."""


def faced(task: Task, count: int) -> list[Face]:
    """Every condition control at every grid position."""
    faces = []
    for name in (control.name for control in task.space.controls if control.kind == "condition"):
        settings = _row(task.space, name, count)
        for truth, setting in enumerate(settings):
            levels = task.matched(torch.tensor(setting))
            if levels is not None:
                faces.append(Face(name, settings, truth, dict(levels)))
    return faces


def match(subject: Subject, example: Example, face: Face, tick: Callable[[], None] = lambda: None) -> Match:
    """Run one photograph, degraded as the face says, at every setting."""
    clean = example.targets["clean"]

    values = []
    for setting in face.settings:
        values.append(nearness(subject(example.inputs, setting), clean).item())
        tick()
    return Match(nearness(enlarged(example.inputs, clean), clean).item(), tuple(values))


def table(space: ControlSpace, matched: Mapping[Face, Sequence[Match]]) -> list[dict[str, Any]]:
    """One row for each face: where the network was best, and what the truth and its neighbours gave."""
    return [_line(space, face, matches) for face, matches in matched.items()]


def _line(space: ControlSpace, face: Face, matches: Sequence[Match]) -> dict[str, Any]:
    means = [fmean(column) for column in zip(*(match.psnr for match in matches), strict=True)]
    values = [native(space, setting)[face.name] for setting in face.settings]
    best = max(range(len(means)), key=means.__getitem__)
    return {
        "control": face.name,
        "value": values[face.truth],
        "levels": dict(face.levels),
        "psnr_input": fmean(match.psnr_input for match in matches),
        "psnr_matched": means[face.truth],
        "psnr_below": means[face.truth - 1] if face.truth else None,
        "psnr_above": means[face.truth + 1] if face.truth + 1 < len(means) else None,
        "best_value": values[best],
        "loss_to_best_db": means[best] - means[face.truth],
    }


def _row(space: ControlSpace, name: str, count: int) -> tuple[Setting, ...]:
    index, rest = space.names.index(name), default_setting(space)
    return tuple((*rest[:index], value, *rest[index + 1 :]) for value in positions(count))
