"""Which part of two pictures is compared: all channels or Y, with or without the border."""

import torch
from torch import Tensor

from tunable_models.errors import TunableError
from tunable_models.metrics.luma import luma as luma_of


def compared(
    output: Tensor, target: Tensor, *, data_range: float, crop_border: int, luma: bool
) -> tuple[Tensor, Tensor]:
    """Both pictures (B, C, H, W), cropped, as Y where asked, in float32 at least.

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
    images = [cropped(image, crop_border) for image in (output, target)]
    dtype = torch.promote_types(torch.promote_types(output.dtype, target.dtype), torch.float32)
    images = [image.to(dtype) for image in images]
    first, second = [luma_of(image, data_range=data_range) for image in images] if luma else images
    return first, second


def cropped(image: Tensor, border: int) -> Tensor:
    """The picture (B, C, H, W) without so many pixels on each side.

    Raises:
        TunableError: the border is negative, or nothing is left.
    """
    if border < 0 or 2 * border >= min(image.shape[-2:]):
        raise TunableError(
            f"crop_border must be 0 or more and leave something of {tuple(image.shape[-2:])} px, got {border}"
        )
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]
