"""The scores of one output on one photograph, and means over photographs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import torch
from torch import Tensor

from pipelines.core.errors import DataError
from pipelines.features.lpips import LPIPS
from pipelines.measure.monotonicity import Curve, curves_along
from pipelines.measure.photographs import Batch
from pipelines.measure.runner import own_metric, own_target
from pipelines.measure.settings import Setting, Sweep
from pipelines.tasks import Task
from pipelines.tasks.distances import psnr_clamped
from tunable_models import TunableError, ssim
from tunable_models.metrics import NIQE


@dataclass(frozen=True, kw_only=True)
class PhotoScore:
    """How near one picture is to what it could be.

    Attributes:
        numbers: by name. ``psnr_clean`` in dB, ``ssim_clean`` and ``lpips`` (lower is nearer) compare with
            the clean image; ``psnr_own`` and ``ssim_own`` with what the picture's own setting asks for,
            where that is one picture; ``niqe`` (lower is more natural) looks at the picture alone, and is
            there where NIQE is measured; the rest are the task's own.
        progress: each control's own metric, in dB.
        vertices: PSNR in dB to what each vertex of the sliders' space asks for; empty where that is not one
            picture, or the same for two.
    """

    numbers: Mapping[str, float]
    progress: tuple[float, ...] = ()
    vertices: tuple[float, ...] = ()


Scores = Mapping[Setting, Sequence[PhotoScore]]
"""The scores of every photograph, in order, at each setting."""


def mean_number(scores: Sequence[PhotoScore], name: str) -> float:
    """Mean of one of the numbers over photographs."""
    return fmean(score.numbers[name] for score in scores)


def mean_numbers(scores: Sequence[PhotoScore]) -> dict[str, float]:
    """Mean of every number over photographs."""
    return {name: mean_number(scores, name) for name in scores[0].numbers}


def own_curves(scores: Scores, sweep: Sweep) -> list[Curve]:
    """The slider's own metric along a sweep, one curve a photograph: what monotonicity is counted on."""
    return curves_along(sweep, lambda setting: [score.progress[sweep.control] for score in scores[setting]])


class PhotoJudge:
    """Scores outputs for one degraded photograph."""

    def __init__(self, task: Task, photograph: Batch, lpips: LPIPS, niqe: NIQE | None = None) -> None:
        self._task, self._photograph, self._lpips, self._niqe = task, photograph, lpips, niqe
        self._vertex_targets = self._distinct_targets()

    @property
    def clean(self) -> Tensor:
        """The clean image (1, 3, sH, sW)."""
        return self._photograph.shown.targets["clean"]

    def score_input(self, picture: Tensor) -> PhotoScore:
        """A picture that is no output: against the clean image alone."""
        picture = picture.clamp(0, 1)
        return PhotoScore(numbers={**self._compare_clean(picture), **self._measure_niqe(picture)})

    def score_output(self, output: Tensor, setting: Setting) -> PhotoScore:
        """An output (1, 3, sH, sW) at a setting."""
        output, omega, shown = output.clamp(0, 1), torch.tensor(setting), self._photograph.shown
        numbers, target = self._compare_clean(output), self._clamped_target(omega)
        if target is not None:
            numbers["psnr_own"] = psnr_clamped(output, target).item()
            numbers["ssim_own"] = ssim(output, target).item()
        numbers |= self._measure_niqe(output)
        numbers |= {name: value.item() for name, value in self._task.measures(output, shown).items()}
        progress = (
            own_metric(self._task, output, shown, omega, control).item()
            for control in range(len(self._task.space))
        )
        nearness = (psnr_clamped(output, target).item() for target in self._vertex_targets)
        return PhotoScore(numbers=numbers, progress=tuple(progress), vertices=tuple(nearness))

    def _distinct_targets(self) -> list[Tensor]:
        """What every vertex asks for; nothing where one of them is no picture or two are the same."""
        vertices = [torch.tensor(vertex) for vertex in self._task.space.vertices]
        targets = [target for omega in vertices if (target := self._clamped_target(omega)) is not None]
        same = any(torch.equal(one, other) for one, other in combinations(targets, 2))
        return targets if len(targets) == len(vertices) and not same else []

    def _clamped_target(self, omega: Tensor) -> Tensor | None:
        target = own_target(self._task, self._photograph.raw, omega)
        return None if target is None else target.clamp(0, 1)

    def _compare_clean(self, picture: Tensor) -> dict[str, float]:
        return {
            "psnr_clean": psnr_clamped(picture, self.clean).item(),
            "ssim_clean": ssim(picture, self.clean).item(),
            "lpips": self._lpips.measure(picture, self.clean).item(),
        }

    def _measure_niqe(self, picture: Tensor) -> dict[str, float]:
        if self._niqe is None:
            return {}
        try:
            value = self._niqe(picture).item()
        except TunableError as error:
            raise DataError(f"{error}; raise evaluate.crop_px, or set evaluate.niqe_model to null") from error
        if math.isnan(value):
            raise DataError(
                "expected detail in at least two patches of a picture, got a flat one, for which NIQE is not "
                "defined; set evaluate.niqe_model to null"
            )
        return {"niqe": value}
