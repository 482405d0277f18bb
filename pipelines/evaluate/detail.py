"""Which part of a photograph to show."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipelines.tasks.degradations import gaussian_blur

DETAIL_SIGMAS_PX = (1.0, 4.0)
"""Detail is what the wider blur takes away and the narrower leaves: edges, not the grain of fur or film."""

Window = tuple[slice, slice]
"""Rows and columns."""


def most_detail(clean: Tensor, side: int, step: int = 1) -> Window:
    """Where a crop of that side, at most the whole image (1, 3, H, W), holds most detail.

    Its corners are multiples of ``step``.
    """
    fine, coarse = (gaussian_blur(clean, torch.tensor([sigma])) for sigma in DETAIL_SIGMAS_PX)
    energy = (fine - coarse).square().mean(1, keepdim=True)
    height, width = (min(side, length // step * step) for length in clean.shape[-2:])
    windows = F.avg_pool2d(energy, (height, width), stride=step)[0, 0]
    top, left = (step * place for place in divmod(int(windows.argmax()), windows.shape[1]))
    return slice(top, top + height), slice(left, left + width)
