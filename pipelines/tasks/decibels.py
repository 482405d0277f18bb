"""Measurements in decibels, limited so that JSON can hold them and a mean can use them.

Shapes: pictures (B, C, H, W); results (B,).
"""

import torch
from torch import Tensor

from tunable_models import psnr

LIMIT_DB = 100.0
"""Where decibels end: equal pictures would be infinite."""


def nearness(output: Tensor, target: Tensor) -> Tensor:
    """PSNR in dB of pictures as they are shown: both clamped to [0, 1]."""
    return psnr(output.clamp(0, 1), target.clamp(0, 1)).clamp(max=LIMIT_DB)


def smallness(distance: Tensor) -> Tensor:
    """-10 log10 of a distance (B,) that is not negative: a tenth of it is 10 dB more."""
    return -10 * torch.log10(distance.clamp(min=10 ** (-LIMIT_DB / 10)))


def removed(inputs: Tensor, output: Tensor) -> Tensor:
    """20 log10 of the rms that a network took from its inputs; twice as much is 6 dB more."""
    return -smallness((output - inputs).square().flatten(1).mean(1))
