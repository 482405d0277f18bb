"""Distances to a target by their options' names, and metrics in decibels.

Decibels are limited, so that JSON can hold them and a mean can use them. Shapes: pictures (B, C, H, W);
results (B,).
"""

from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor

from tunable_models import TunableError, get_objective, psnr


def _check_distance(name: str) -> str:
    try:
        objective = get_objective(name)
    except TunableError as error:
        raise ValueError(str(error)) from error
    if not objective.needs_target:
        raise ValueError(f"expected an objective that looks at a target, got {name!r}")
    return name


Distance = Annotated[str, AfterValidator(_check_distance)]
"""An option: l1, charbonnier, mse, rmse, or an objective that was registered."""

LIMIT_DB = 100.0
"""Where decibels end: equal pictures would be infinite."""


def psnr_clamped(output: Tensor, target: Tensor) -> Tensor:
    """PSNR in dB of pictures as they are displayed: both clamped to [0, 1]."""
    return psnr(output.clamp(0, 1), target.clamp(0, 1)).clamp(max=LIMIT_DB)


def negative_db(distance: Tensor) -> Tensor:
    """-10 log10 of a distance (B,) that is not negative: a tenth of it is 10 dB more."""
    return -10 * torch.log10(distance.clamp(min=10 ** (-LIMIT_DB / 10)))


def removed_rms_db(inputs: Tensor, output: Tensor) -> Tensor:
    """20 log10 of the rms that a network took from its inputs; twice as much is 6 dB more."""
    return -negative_db((output - inputs).square().flatten(1).mean(1))
