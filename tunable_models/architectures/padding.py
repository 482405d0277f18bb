"""Pad and crop inside a network, so that it takes images of any size.

Only at the lower and right borders: pixel (0, 0) stays where it is, and so does the grid of
the features. The picture is mirrored as often as it takes, so that one pixel is enough. No branch
depends on a size, so that exported and compiled networks take any size too.
"""

from typing import Any

import torch
from torch import Tensor


def mirror_pad(x: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Grow x (B, C, H, W) to sides that are multiples, by mirroring its lower and right borders.

    Args:
        x: at least 1 px high and wide.
        multiple: of the sides of the result, in pixels.
        least: the sides are at least ``least * multiple`` px.

    Example:
        >>> mirror_pad(torch.tensor([[[[1, 2, 3]]]]), 4)[0, 0, 0]
        tensor([1, 2, 3, 2])
    """
    rows, columns = (_mirror_places(side, multiple, least, x.device) for side in x.shape[-2:])
    return x.index_select(-2, rows).index_select(-1, columns)


def _mirror_places(side: int, multiple: int, least: int, device: torch.device) -> Tensor:
    """Source index of each pixel along a padded side."""
    # Written as a product, which symbolic shapes can be divided by again; side + (-side) % multiple is not.
    blocks: Any = (side + multiple - 1) // multiple
    # While torch.jit traces, a size is a tensor.
    blocks = blocks.clamp(min=least) if isinstance(blocks, Tensor) else torch.sym_max(blocks, least)
    return mirror_index(torch.arange(blocks * multiple, device=device), side)


def mirror_index(places: Tensor, side: int) -> Tensor:
    """Source index at places (N,) of an axis along which a side is mirrored repeatedly.

    Args:
        places: integers, negative before the first pixel.
        side: number of pixels, at least 1.

    Example:
        >>> mirror_index(torch.arange(-2, 6), 3)
        tensor([2, 1, 0, 1, 2, 1, 0, 1])
    """
    # A tensor and not a number, because ONNX has no remainder by a symbolic size.
    period = (2 * torch.arange(side - 1, side, device=places.device)).clamp(min=1)
    place = torch.remainder(places, period)
    return torch.minimum(place, period - place)


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """The upper left part of x (B, C, H, W), of that size in pixels.

    Example:
        >>> crop(torch.arange(6.0).reshape(1, 1, 2, 3), 1, 2)
        tensor([[[[0., 1.]]]])
    """
    # Not a slice: a symbolic size would have to be proven no larger than the padded one.
    rows, columns = (torch.arange(side, device=x.device) for side in (height, width))
    return x.index_select(-2, rows).index_select(-1, columns)
