"""Measuring one output on one photograph.

One rule for every comparison: pictures are compared as a person sees them. Outputs, inputs and targets
are clamped to [0, 1] first, also the noisy targets, whose noise is not clipped when it is added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.errors import DataError
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.settings import Setting
from pipelines.perceptual import LPIPS
from pipelines.streams import generator
from pipelines.tasks import Task
from pipelines.tasks.denoise_deblur import Degraded
from tunable_models import psnr, ssim
from tunable_models.metrics import SSIM_WINDOW_PX

MAX_PSNR_DB = 100.0
"""Where PSNR is cut: equal pictures would be infinite, which JSON cannot say and a mean cannot use."""

CLEAN = -1
"""Index of the clean image among the targets: the last corner, every slider up."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near one picture is to what it could be.

    Attributes:
        psnr_corners: in dB, to the target of each corner of the sliders' box.
        psnr_own: in dB, to the target of the picture's own setting.
        ssim_clean: to the clean image.
        ssim_own: to the target of its own setting.
        lpips: to the clean image; lower is nearer.
    """

    psnr_corners: tuple[float, ...]
    psnr_own: float
    ssim_clean: float
    ssim_own: float
    lpips: float

    @property
    def psnr_clean(self) -> float:
        """In dB, to the clean image."""
        return self.psnr_corners[CLEAN]


NUMBERS = ("psnr_clean", "psnr_own", "ssim_clean", "ssim_own", "lpips")
"""The numbers of a score that are reported."""

Scores = Mapping[Setting, Sequence[Score]]
"""The scores of every photograph, in order, at each setting."""


def mean(scores: Sequence[Score], name: str) -> float:
    """Mean of one of the numbers over photographs."""
    return fmean(getattr(score, name) for score in scores)


def degrade(photos: PhotoSet, index: int, task: Task, config: EvaluateConfig) -> Degraded:
    """Input (1, 3, H, W) and corner targets (1, V, 3, H, W) of one photograph.

    The noise depends on the seed and the photograph's index alone.

    Raises:
        DataError: the photograph is smaller than the window of SSIM.
    """
    photo = torch.from_numpy(photos[index].copy()).permute(2, 0, 1).unsqueeze(0)
    clean = _centre(photo, config.crop_px) / 255
    if min(clean.shape[-2:]) < SSIM_WINDOW_PX:
        raise DataError(
            f"expected sides of {SSIM_WINDOW_PX} px at least, got {tuple(clean.shape[-2:])} of "
            f"{photos.names[index]!r}; raise prepare.min_side_px"
        )
    noise = torch.randn(clean.shape, generator=generator(config.seed, "evaluate", index))
    return task.degrade(clean, torch.tensor([config.noise_sigma]), torch.tensor([config.blur_sigma]), noise)


def score(picture: Tensor, targets: Tensor, own: Tensor, lpips: LPIPS) -> Score:
    """Measure a picture.

    Args:
        picture: (1, 3, H, W).
        targets: of the corners, (1, V, 3, H, W).
        own: target of the picture's own setting, (1, 3, H, W).
        lpips: the perceptual metric.
    """
    picture, corners, own = picture.clamp(0, 1), targets[0].clamp(0, 1), own.clamp(0, 1)
    references = torch.cat([corners, own])
    db = psnr(picture.expand_as(references), references).clamp(max=MAX_PSNR_DB).tolist()
    pair = torch.cat([corners[CLEAN:], own])
    ssim_clean, ssim_own = ssim(picture.expand_as(pair), pair).tolist()
    return Score(
        psnr_corners=tuple(db[:-1]),
        psnr_own=db[-1],
        ssim_clean=ssim_clean,
        ssim_own=ssim_own,
        lpips=lpips.measure(picture, corners[CLEAN:]).item(),
    )


def _centre(image: Tensor, side: int | None) -> Tensor:
    if side is None:
        return image
    top, left = (max(0, (length - side) // 2) for length in image.shape[-2:])
    return image[..., top : top + side, left : left + side]
