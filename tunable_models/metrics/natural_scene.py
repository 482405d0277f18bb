"""Natural scene statistics: 36 numbers that say how the pixels of a patch are distributed.

Normalised luminance and the products of neighbours are fitted with asymmetric generalised Gaussians, as in
Mittal, Soundararajan and Bovik, "Making a Completely Blind Image Quality Analyzer", IEEE SPL 2013,
https://doi.org/10.1109/LSP.2012.2227726, and the authors' MATLAB release.

Shapes: N patches of a picture, M values of a patch.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

FEATURES = 36
PATCH_PX = 96

WINDOW_PX = 7
WINDOW_SIGMA_PX = 7 / 6

_ROUNDING = 1e-9
"""In grey levels; a real difference of 8-bit levels is many times as large."""

_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def patch_features(grey: Tensor) -> Tensor:
    """Features of every patch, at full and at half size.

    A patch without values on both sides of zero, such as a flat one, has NaN among its features.

    Args:
        grey: one picture (1, 1, H, W), grey levels 0 to 255, float64; H and W multiples of 96.

    Returns:
        (N, 36), float64.
    """
    scales = ((grey, PATCH_PX), (halve_image(grey), PATCH_PX // 2))
    return torch.cat(
        [_scale_features(_cut_patches(normalize_luminance(image), side)) for image, side in scales], dim=1
    )


def normalize_luminance(grey: Tensor) -> Tensor:
    """(value - local mean) / (local standard deviation + 1), (B, 1, H, W); zero where the picture is flat."""
    mean = _blur_image(grey)
    difference = grey - mean
    # Rounding gives flat stretches a sign, which the fit would count; the release does, and its numbers for
    # pictures with blown highlights depend on the order of a sum (by up to 0.04 on Kodak's photographs).
    difference = torch.where(difference.abs() < _ROUNDING, 0, difference)
    deviation = (_blur_image(grey * grey) - mean * mean).abs().sqrt()
    return difference / (deviation + 1)


def gaussian_window() -> Tensor:
    """The window of local mean and deviation, (7, 7) float64, of sum 1."""
    taps = _gaussian_taps()
    return taps.outer(taps)


def halve_image(image: Tensor) -> Tensor:
    """(B, 1, H, W) of even sides at half size, as MATLAB's ``imresize(image, 0.5)``.

    Keys' cubic (a = -0.5) stretched to eight pixels, borders mirrored. ``F.interpolate`` with antialias has
    the same kernel, but cuts it off at the borders.
    """
    distance = torch.arange(-1.75, 2.0, 0.5, dtype=image.dtype, device=image.device).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = torch.where(distance <= 1, near, far)
    taps = (taps / taps.sum()).view(1, 1, -1, 1)
    down = F.conv2d(_mirror_ends(image, 2), taps, stride=(2, 1))
    return F.conv2d(_mirror_ends(down, 3), taps.transpose(2, 3), stride=(1, 2))


def _mirror_ends(image: Tensor, axis: int) -> Tensor:
    """Three more pixels at both ends of an axis, the border pixel itself first."""
    before, after = image.narrow(axis, 0, 3), image.narrow(axis, image.shape[axis] - 3, 3)
    return torch.cat([before.flip(axis), image, after.flip(axis)], dim=axis)


def _gaussian_taps() -> Tensor:
    offsets = torch.arange(WINDOW_PX, dtype=torch.float64) - WINDOW_PX // 2
    taps = torch.exp(-(offsets**2) / (2 * WINDOW_SIGMA_PX**2))
    return taps / taps.sum()


def _blur_image(image: Tensor) -> Tensor:
    taps = _gaussian_taps().to(image.device).view(1, 1, 1, -1)
    padded = F.pad(image, (WINDOW_PX // 2,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, taps), taps.transpose(2, 3))


def _cut_patches(image: Tensor, side: int) -> Tensor:
    """(1, 1, H, W) as (N, side, side)."""
    return F.unfold(image, side, stride=side)[0].T.reshape(-1, side, side)


def _scale_features(patches: Tensor) -> Tensor:
    """(N, 18) of patches (N, side, side)."""
    shape, left, right = fit_aggd(patches.flatten(1))
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        # The release shifts within the patch, round its border.
        product = patches * patches.roll(shift, dims=(1, 2))
        shape, left, right = fit_aggd(product.flatten(1))
        mean = (right - left) * torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))
        features += [shape, mean, left, right]
    return torch.stack(features, dim=1)


def fit_aggd(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Asymmetric generalised Gaussians by matching moments: shape, left and right scale of each row.

    Args:
        values: (N, M), float64.

    Returns:
        Three tensors (N,). The shape is one of 0.2, 0.201, ..., 10; where a row lacks values on a side of
        zero it is 0.2, and that side's scale is NaN.
    """
    left, right = (_rms_where(values, side) for side in (values < 0, values > 0))
    shapes = torch.arange(200, 10_001, dtype=values.dtype, device=values.device) / 1000
    log_gamma = [torch.lgamma(k / shapes) for k in (1, 2, 3)]
    table = torch.exp(2 * log_gamma[1] - log_gamma[0] - log_gamma[2])
    ratio = left / right
    moment = values.abs().mean(1) ** 2 / values.square().mean(1)
    wanted = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    # A row of NaN has its smallest element at the front, for torch as for MATLAB.
    index = (table - wanted.unsqueeze(1)).square().argmin(1)
    scale = torch.exp((log_gamma[0][index] - log_gamma[2][index]) / 2)
    return shapes[index], left * scale, right * scale


def _rms_where(values: Tensor, kept: Tensor) -> Tensor:
    """Root mean square of the kept values of each row; NaN where there is none."""
    return (torch.where(kept, values, 0).square().sum(1) / kept.sum(1)).sqrt()
