"""Degradations that define tasks, on the device of their input, and the random draws of their strengths.

Shapes: images (B, C, H, W), RGB in [0, 1]; levels (B,).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pipelines.core.random_streams import generator
from pipelines.tasks.task import Key
from tunable_models.architectures.padding import mirror_index

Range = tuple[float, float]
"""Of a strength: the lowest and the highest."""

TRUNCATE = 4.0
"""A Gaussian kernel ends this many sigmas from its center."""


def gaussian_blur(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur sample b with a Gaussian of sigma_px[b] pixels; borders are mirrored.

    Args:
        images: (B, C, H, W), any size: borders that are shorter than the kernel mirror repeatedly.
        sigma_px: (B,), 0 leaves the sample as it is.
    """
    radius = max(1, math.ceil(TRUNCATE * float(sigma_px.max())))
    taps = _gaussian_taps(sigma_px, radius)
    return _convolve_axis(_convolve_axis(images, taps, radius, -1), taps, radius, -2)


def add_noise(images: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """Add standard normal noise times sigma[b] / 255; not clipped, the protocol of SwinIR and Restormer."""
    return images + noise * (sigma / 255).view(-1, 1, 1, 1)


def bicubic_downsample(images: Tensor, factor: int) -> Tensor:
    """Images (B, C, H, W) at 1 / factor of their size; sides are multiples of factor.

    The cubic kernel of a = -0.5 is stretched by the factor, so that nothing aliases: what Pillow and
    MATLAB's imresize do, on which published super-resolution is trained and measured. Values may leave
    [0, 1] a little at edges.
    """
    height, width = images.shape[-2] // factor, images.shape[-1] // factor
    return F.interpolate(images, size=(height, width), mode="bicubic", antialias=True, align_corners=False)


def check_range(name: str, values: Range, limit: float) -> None:
    """Refuse a range that is not ordered or leaves 0..limit.

    Raises:
        ValueError: which pydantic reports as an invalid option.
    """
    low, high = values
    if not 0 <= low <= high <= limit:
        raise ValueError(f"{name} must be [low, high] within 0..{limit:g}, got [{low:g}, {high:g}]")


def mean_strength(values: Range) -> float:
    """The strength a range is evaluated at."""
    return (values[0] + values[1]) / 2


def draw_strengths(ranges: Sequence[Range], keys: Sequence[Key], shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Strengths (B, R), uniform in the R ranges, and normal noise (B, *shape), one stream a key."""
    bounds = torch.tensor(ranges).view(-1, 2)
    strengths, noise = [], []
    for key in keys:
        stream = generator(*key, "degradation")
        uniform = torch.rand(len(bounds), generator=stream)
        strengths.append(bounds[:, 0] + uniform * (bounds[:, 1] - bounds[:, 0]))
        noise.append(torch.randn(shape, generator=stream))
    return torch.stack(strengths), torch.stack(noise)


def _gaussian_taps(sigma: Tensor, radius: int) -> Tensor:
    offsets = torch.arange(-radius, radius + 1, device=sigma.device, dtype=torch.float32)
    taps = torch.exp(-(offsets**2) / (2 * sigma.float().clamp(min=1e-3).unsqueeze(1) ** 2))
    return taps / taps.sum(dim=1, keepdim=True)


def _convolve_axis(images: Tensor, taps: Tensor, radius: int, axis: int) -> Tensor:
    """Convolve sample b with taps[b] along one axis."""
    batch, channels = images.shape[:2]
    size = images.shape[axis]
    # F.pad's reflect mode refuses a pad as large as the image; this index mirrors any number of times.
    index = mirror_index(torch.arange(-radius, size + radius, device=images.device), size)
    padded = images.index_select(axis, index)
    kernel = taps.to(images.dtype).repeat_interleave(channels, 0)
    shape = (-1, 1, 1, taps.shape[1]) if axis == -1 else (-1, 1, taps.shape[1], 1)
    flat = padded.reshape(1, batch * channels, *padded.shape[2:])
    blurred = F.conv2d(flat, kernel.view(shape), groups=batch * channels)
    return blurred.view(images.shape)
