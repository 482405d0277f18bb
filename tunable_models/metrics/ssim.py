"""Structural similarity.

Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004,
https://doi.org/10.1109/TIP.2003.819861.
"""

import math

from torch import Tensor

from tunable_models.errors import TunableError
from tunable_models.metrics.region import compared

SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5


def ssim(
    output: Tensor, target: Tensor, *, data_range: float = 1.0, crop_border: int = 0, luma: bool = False
) -> Tensor:
    """Structural similarity, (B,), mean over channels and over the windows that lie inside the image.

    Gaussian window of 11x11 px, sigma 1.5 px, K1 = 0.01, K2 = 0.03, population variances.

    Args:
        output: (B, C, H, W), H and W at least 11 within the border.
        target: (B, C, H, W).
        data_range: largest possible value less the smallest.
        crop_border: pixels left out on each side.
        luma: measure on Y alone, see :func:`~tunable_models.metrics.luma.luma`; C is 3.

    Raises:
        TunableError: the shapes differ, are not (B, C, H, W), or are smaller than the window; or an
            option does not fit them.

    Example:
        >>> from tunable_models import ssim
        >>> image = torch.linspace(0, 1, 12).expand(1, 1, 12, 12)
        >>> ssim(image, image), ssim(1 - image, image) < 0
        (tensor([1.]), tensor([True]))
    """
    output, target = compared(output, target, data_range=data_range, crop_border=crop_border, luma=luma)
    if min(output.shape[-2:]) < SSIM_WINDOW_PX:
        raise TunableError(
            f"ssim needs sides of {SSIM_WINDOW_PX} px at least, got {tuple(output.shape[-2:])}"
        )
    mean_o, mean_t = _window(output), _window(target)
    variance_o = _window(output * output) - mean_o**2
    variance_t = _window(target * target) - mean_t**2
    covariance = _window(output * target) - mean_o * mean_t
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_o * mean_t + c1) / (mean_o**2 + mean_t**2 + c1)
    structure = (2 * covariance + c2) / (variance_o + variance_t + c2)
    return (luminance * structure).flatten(1).mean(1)


def _window(x: Tensor) -> Tensor:
    """Gaussian mean of every whole window: (B, C, H, W) to (B, C, H-10, W-10)."""
    return _along(_along(x, 3), 2)


def _along(x: Tensor, axis: int) -> Tensor:
    # Sums of slices and no convolution: GPUs round the inputs of one to ten bits (TF32), autocast to eight,
    # and the variance, a small difference of large numbers, would be lost.
    half, kept = SSIM_WINDOW_PX // 2, x.shape[axis] - SSIM_WINDOW_PX + 1
    weights = [math.exp(-(offset**2) / (2 * SSIM_SIGMA_PX**2)) for offset in range(half + 1)]
    total = 2 * sum(weights) - weights[0]
    mean = x.narrow(axis, half, kept) * (weights[0] / total)
    for offset in range(1, half + 1):
        pair = x.narrow(axis, half - offset, kept) + x.narrow(axis, half + offset, kept)
        mean = mean + pair * (weights[offset] / total)
    return mean
