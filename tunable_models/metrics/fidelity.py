"""Fidelity to a reference picture: PSNR and SSIM, over all channels or on Y, with or without the border.

SSIM: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004,
https://doi.org/10.1109/TIP.2003.819861. Y, the channel that super-resolution papers measure on: ITU-R
BT.601, https://www.itu.int/rec/R-REC-BT.601, in studio range as MATLAB's rgb2ycbcr.
"""

import math

import torch
from torch import Tensor

from tunable_models.errors import TunableError


def psnr(
    output: Tensor, target: Tensor, *, data_range: float = 1.0, crop_border: int = 0, luma: bool = False
) -> Tensor:
    """Peak signal-to-noise ratio in dB, over all channels; (B,), infinite for equal images.

    Args:
        output: (B, C, H, W).
        target: (B, C, H, W).
        data_range: largest possible value less the smallest.
        crop_border: pixels left out on each side.
        luma: measure on Y alone, see :func:`~tunable_models.metrics.luma`; C is 3.

    Raises:
        TunableError: the shapes differ or are not (B, C, H, W), or an option does not fit them.

    Example:
        >>> from tunable_models import psnr
        >>> psnr(torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 8, 8), 0.5)).round()
        tensor([20.])
    """
    output, target = prepare_pair(
        output, target, data_range=data_range, crop_border=crop_border, on_luma=luma
    )
    error = (output - target).square().flatten(1).mean(1)
    return 10 * torch.log10(data_range**2 / error)


SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5


def ssim(
    output: Tensor, target: Tensor, *, data_range: float = 1.0, crop_border: int = 0, luma: bool = False
) -> Tensor:
    """Structural similarity, (B,), mean over channels and over the windows that are whole.

    Gaussian window of 11x11 px, sigma 1.5 px, K1 = 0.01, K2 = 0.03, population variances.

    Args:
        output: (B, C, H, W), H and W at least 11 within the border.
        target: (B, C, H, W).
        data_range: largest possible value less the smallest.
        crop_border: pixels left out on each side.
        luma: measure on Y alone, see :func:`~tunable_models.metrics.luma`; C is 3.

    Raises:
        TunableError: the shapes differ, are not (B, C, H, W), or are smaller than the window; or an
            option does not fit them.

    Example:
        >>> from tunable_models import ssim
        >>> image = torch.linspace(0, 1, 12).expand(1, 1, 12, 12)
        >>> ssim(image, image), ssim(1 - image, image) < 0
        (tensor([1.]), tensor([True]))
    """
    output, target = prepare_pair(
        output, target, data_range=data_range, crop_border=crop_border, on_luma=luma
    )
    if min(output.shape[-2:]) < SSIM_WINDOW_PX:
        raise TunableError(
            f"ssim needs sides of {SSIM_WINDOW_PX} px at least, got {tuple(output.shape[-2:])}"
        )
    mean_o, mean_t = _window_mean(output), _window_mean(target)
    variance_o = _window_mean(output * output) - mean_o**2
    variance_t = _window_mean(target * target) - mean_t**2
    covariance = _window_mean(output * target) - mean_o * mean_t
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_o * mean_t + c1) / (mean_o**2 + mean_t**2 + c1)
    structure = (2 * covariance + c2) / (variance_o + variance_t + c2)
    return (luminance * structure).flatten(1).mean(1)


def _window_mean(x: Tensor) -> Tensor:
    """Gaussian mean of every whole window: (B, C, H, W) to (B, C, H-10, W-10)."""
    return _mean_along(_mean_along(x, 3), 2)


def _mean_along(x: Tensor, axis: int) -> Tensor:
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


def luma(image: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Y = 16 + 65.481 R + 128.553 G + 24.966 B of RGB in 0..1, on the scale where white is 235 of 255.

    Not rounded; scaled back to the range of the image, so black is 16/255 and white 235/255 of it.

    Args:
        image: (B, 3, H, W), RGB from 0 to ``data_range``.
        data_range: value of white.

    Returns:
        (B, 1, H, W).

    Raises:
        TunableError: the image has other than three channels.

    Example:
        >>> from tunable_models.metrics import luma
        >>> luma(torch.ones(1, 3, 1, 1)).mul(255).item()
        235.0
    """
    if image.dim() != 4 or image.shape[1] != 3:
        raise TunableError(f"luma needs RGB images (B, 3, H, W), got {tuple(image.shape)}")
    share = torch.tensor([65.481, 128.553, 24.966], dtype=image.dtype, device=image.device) / 255
    # Element by element: a matrix product may run in lower precision on a GPU.
    return (image * share.view(3, 1, 1)).sum(1, keepdim=True) + 16 / 255 * data_range


def prepare_pair(
    output: Tensor, target: Tensor, *, data_range: float, crop_border: int, on_luma: bool
) -> tuple[Tensor, Tensor]:
    """Both pictures (B, C, H, W), cropped, as Y on demand, in float32 at least.

    Raises:
        TunableError: the shapes differ or are not (B, C, H, W), there are not three channels to take Y
            of, nothing is left within the border, or ``data_range`` is not positive.
    """
    if output.shape != target.shape or output.dim() != 4:
        raise TunableError(
            f"expected images of one shape (B, C, H, W), got {tuple(output.shape)} and {tuple(target.shape)}"
        )
    if not data_range > 0:
        raise TunableError(f"data_range must be positive, got {data_range!r}")
    images = [crop_border_px(image, crop_border) for image in (output, target)]
    dtype = torch.promote_types(torch.promote_types(output.dtype, target.dtype), torch.float32)
    images = [image.to(dtype) for image in images]
    first, second = [luma(image, data_range=data_range) for image in images] if on_luma else images
    return first, second


def crop_border_px(image: Tensor, border: int) -> Tensor:
    """The picture (B, C, H, W) without so many pixels on each side.

    Raises:
        TunableError: the border is negative, or nothing is left.
    """
    if border < 0 or 2 * border >= min(image.shape[-2:]):
        raise TunableError(
            f"crop_border must be 0 or more and leave something of {tuple(image.shape[-2:])} px, got {border}"
        )
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]
