"""Images of any size through a network that has wishes: padding to a multiple, and exact tiles.

Tiles overlap by the network's radius and only their middles are kept, so the result is that of the
whole image: nothing is blended, no seam can show.

Shapes: B images, (H, W) input size, s the network's scale.
"""

from collections.abc import Callable, Iterator
from itertools import product
from math import lcm

from torch import Tensor
from torch.nn import functional

Network = Callable[[Tensor], Tensor]
"""(B, 3, H, W) to (B, 3, s*H, s*W)."""


def pad_to_multiple(batch: Tensor, multiple: int) -> Tensor:
    """Pad (B, 3, H, W) at the right and bottom until H and W are multiples.

    By reflection, or by repeating the border along an axis that is too short to reflect.
    """
    height, width = batch.shape[-2:]
    right, bottom = -width % multiple, -height % multiple
    if right:
        batch = functional.pad(batch, (0, right, 0, 0), "reflect" if right < width else "replicate")
    if bottom:
        batch = functional.pad(batch, (0, 0, 0, bottom), "reflect" if bottom < height else "replicate")
    return batch


def run_tiled(
    network: Network,
    batch: Tensor,
    *,
    tile_px: int,
    radius_px: int,
    multiple: int = 1,
    alignment: int = 1,
    scale: int = 1,
) -> Tensor:
    """The network's output for the whole batch, computed tile by tile.

    Args:
        network: an output pixel depends on input pixels at most ``radius_px`` away, and shifting the
            input by ``alignment`` shifts the output.
        batch: (B, 3, H, W), H and W multiples of ``multiple``.
        tile_px: side of the part of a tile that is kept; rounded up to what both multiples ask for.
        radius_px: in input pixels.
        multiple: sides of tiles are multiples of it.
        alignment: tiles begin at multiples of it.
        scale: output side over input side.

    Returns:
        (B, 3, scale*H, scale*W), equal to ``network(batch)``.
    """
    height, width = batch.shape[-2:]
    grid = lcm(multiple, alignment)
    step, halo = _round_up(tile_px, grid), _round_up(radius_px, grid)
    output = batch.new_empty(*batch.shape[:2], scale * height, scale * width)
    for (top, bottom), (left, right) in product(_spans(height, step), _spans(width, step)):
        y, x = max(top - halo, 0), max(left - halo, 0)
        result = network(batch[..., y : bottom + halo, x : right + halo])
        output[..., scale * top : scale * bottom, scale * left : scale * right] = result[
            ..., scale * (top - y) : scale * (bottom - y), scale * (left - x) : scale * (right - x)
        ]
    return output


def _spans(length: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, step):
        yield start, min(start + step, length)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
