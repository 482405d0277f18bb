"""Measuring one output on one photograph."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import torch
from torch import Tensor

from pipelines.core.errors import DataError
from pipelines.features.lpips import LPIPS
from pipelines.measure.settings import Setting
from pipelines.measure.shown import shown
from pipelines.tasks import Example, Task
from pipelines.tasks.decibels import nearness
from tunable_models import TunableError, ssim
from tunable_models.metrics import NIQE


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near one picture is to what it could be.

    Attributes:
        numbers: by name. ``psnr_clean`` in dB, ``ssim_clean`` and ``lpips`` (lower is nearer) compare with
            the clean image; ``psnr_own`` and ``ssim_own`` with what the picture's own setting asks for,
            where that is one picture; ``niqe`` (lower is more natural) looks at the picture alone, and is
            there where NIQE is measured; the rest are the task's own.
        progress: each control's own metric, in dB.
        vertices: in dB, to what each vertex of the sliders' space asks for; empty where that is unclear
            or the same for two.
    """

    numbers: Mapping[str, float]
    progress: tuple[float, ...] = ()
    vertices: tuple[float, ...] = ()


Scores = Mapping[Setting, Sequence[Score]]
"""The scores of every photograph, in order, at each setting."""


def names(scores: Sequence[Score]) -> list[str]:
    """What the scores number."""
    return list(scores[0].numbers)


def mean(scores: Sequence[Score], name: str) -> float:
    """Mean of one of the numbers over photographs."""
    return fmean(score.numbers[name] for score in scores)


def means(scores: Sequence[Score]) -> dict[str, float]:
    """Mean of every number over photographs."""
    return {name: mean(scores, name) for name in names(scores)}


class Judge:
    """Scores outputs for one degraded photograph.

    Args:
        task: says what settings ask for and how controls progress.
        example: of one photograph.
        lpips: the perceptual metric.
        niqe: the metric without a reference, if wanted.
    """

    def __init__(self, task: Task, example: Example, lpips: LPIPS, niqe: NIQE | None = None) -> None:
        self._task, self._raw, self._lpips, self._niqe = task, example, lpips, niqe
        self._shown = shown(example)
        self._vertex_aims = self._distinct_aims()

    @property
    def clean(self) -> Tensor:
        """The clean image (1, 3, sH, sW)."""
        return self._shown.targets["clean"]

    def compare(self, picture: Tensor) -> Score:
        """A picture that is no output: against the clean image alone."""
        picture = picture.clamp(0, 1)
        return Score(numbers={**self._to_clean(picture), **self._alone(picture)})

    def score(self, output: Tensor, setting: Setting) -> Score:
        """An output (1, 3, sH, sW) at a setting."""
        output, omega = output.clamp(0, 1), torch.tensor([setting])
        aim = self._aim(setting)
        own = (
            {}
            if aim is None
            else {"psnr_own": nearness(output, aim).item(), "ssim_own": ssim(output, aim).item()}
        )
        measures = self._task.measures(output, self._shown)
        controls = range(len(self._task.space))
        return Score(
            numbers={
                **self._to_clean(output),
                **own,
                **self._alone(output),
                **{name: v.item() for name, v in measures.items()},
            },
            progress=tuple(
                self._task.progress(output, self._shown, omega, control).item() for control in controls
            ),
            vertices=tuple(nearness(output, aim).item() for aim in self._vertex_aims),
        )

    def _distinct_aims(self) -> list[Tensor]:
        """What every vertex asks for; nothing where one of them is unclear or two are the same."""
        aims = [aim for vertex in self._task.space.vertices if (aim := self._aim(vertex)) is not None]
        same = any(torch.equal(one, other) for one, other in combinations(aims, 2))
        return aims if len(aims) == len(self._task.space.vertices) and not same else []

    def _aim(self, setting: Setting) -> Tensor | None:
        aim = self._task.aim(self._raw, torch.tensor([setting]))
        return None if aim is None else aim.clamp(0, 1)

    def _to_clean(self, picture: Tensor) -> dict[str, float]:
        return {
            "psnr_clean": nearness(picture, self.clean).item(),
            "ssim_clean": ssim(picture, self.clean).item(),
            "lpips": self._lpips.measure(picture, self.clean).item(),
        }

    def _alone(self, picture: Tensor) -> dict[str, float]:
        """NIQE, where it is measured."""
        if self._niqe is None:
            return {}
        try:
            value = self._niqe(picture).item()
        except TunableError as error:
            raise DataError(f"{error}; raise evaluate.crop_px, or set evaluate.niqe_model to null") from error
        if math.isnan(value):
            raise DataError(
                "expected detail in two patches of a picture at least, got a flat one, for which NIQE is not "
                "defined; set evaluate.niqe_model to null"
            )
        return {"niqe": value}
