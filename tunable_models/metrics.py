"""Full-reference image metrics, one number a sample.

Shapes: output and target (B, C, H, W), same shape, same device.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from tunable_models.errors import TunableError

SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5


def psnr(output: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, over all channels; (B,), infinite for equal images.

    Args:
        output: (B, C, H, W).
        target: (B, C, H, W).
        data_range: largest possible value less the smallest.

    Raises:
        TunableError: the shapes differ or are not (B, C, H, W).
    """
    _check(output, target)
    error = (output - target).square().flatten(1).mean(1)
    return 10 * torch.log10(data_range**2 / error)


def ssim(output: Tensor, target: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Structural similarity, (B,), mean over channels and over the windows that lie inside the image.

    Gaussian window of 11x11 px, sigma 1.5 px, K1 = 0.01, K2 = 0.03, population variances: Wang et al.,
    "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004,
    https://doi.org/10.1109/TIP.2003.819861.

    Args:
        output: (B, C, H, W), H and W at least 11.
        target: (B, C, H, W).
        data_range: largest possible value less the smallest.

    Raises:
        TunableError: the shapes differ, are not (B, C, H, W), or are smaller than the window.
    """
    _check(output, target)
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
    offsets = torch.arange(SSIM_WINDOW_PX, dtype=x.dtype, device=x.device) - SSIM_WINDOW_PX // 2
    taps = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA_PX**2))
    taps = (taps / taps.sum()).expand(x.shape[1], 1, 1, -1)
    across = F.conv2d(x, taps, groups=x.shape[1])
    return F.conv2d(across, taps.transpose(-1, -2), groups=x.shape[1])


def _check(output: Tensor, target: Tensor) -> None:
    if output.shape != target.shape or output.dim() != 4:
        raise TunableError(
            f"expected images of one shape (B, C, H, W), got {tuple(output.shape)} and {tuple(target.shape)}"
        )
