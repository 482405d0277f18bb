"""Peak signal-to-noise ratio."""

import torch
from torch import Tensor

from tunable_models.metrics.region import compared


def psnr(
    output: Tensor, target: Tensor, *, data_range: float = 1.0, crop_border: int = 0, luma: bool = False
) -> Tensor:
    """Peak signal-to-noise ratio in dB, over all channels; (B,), infinite for equal images.

    Args:
        output: (B, C, H, W).
        target: (B, C, H, W).
        data_range: largest possible value less the smallest.
        crop_border: pixels left out on each side.
        luma: measure on Y alone, see :func:`~tunable_models.metrics.luma.luma`; C is 3.

    Raises:
        TunableError: the shapes differ or are not (B, C, H, W), or an option does not fit them.

    Example:
        >>> from tunable_models import psnr
        >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round()
        tensor([20.])
    """
    output, target = compared(output, target, data_range=data_range, crop_border=crop_border, luma=luma)
    error = (output - target).square().flatten(1).mean(1)
    return 10 * torch.log10(data_range**2 / error)
