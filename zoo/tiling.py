"""Run images of any size: padding to a multiple, and exact tiles.

Tiles overlap by the network's radius and only their middles are kept, so the result is that of the
whole image: nothing is blended, no seam can show. All tiles of an image have one size, to the multiple: at
the borders they reach further into the image instead, so that what computes them can use its memory again.

Shapes: B images, (H, W) input size, s the network's scale.
"""

from collections.abc import Callable, Iterator
from itertools import product
from math import lcm
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

Network = Callable[[Tensor], Tensor]
"""(B, 3, H, W) to (B, 3, s*H, s*W)."""

OnTile = Callable[[int, int], None]
"""Called after each tile: how many are done, and of how many. What it raises ends the work."""


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
    on_tile: OnTile | None = None,
) -> Tensor:
    """The network's output for the whole batch, computed tile by tile.

    Args:
        network: an output pixel depends on input pixels at most ``radius_px`` away, and shifting the
            input by ``alignment`` shifts the output.
        batch: (B, 3, H, W), H and W multiples of ``multiple``.
        tile_px: side of the part of an inner tile that is kept; rounded up to what both multiples ask for.
        radius_px: in input pixels.
        multiple: sides of tiles are multiples of it.
        alignment: tiles begin at multiples of it.
        scale: output side over input side.
        on_tile: called after each tile.

    Returns:
        (B, 3, scale*H, scale*W), equal to ``network(batch)``.
    """
    height, width = batch.shape[-2:]
    grid = lcm(multiple, alignment)
    step, halo = _round_up(tile_px, grid), _round_up(radius_px, grid)
    output = batch.new_empty(*batch.shape[:2], scale * height, scale * width)
    tiles = list(product(_tile_spans(height, step, halo, grid), _tile_spans(width, step, halo, grid)))
    for done, (rows, columns) in enumerate(tiles, start=1):
        result = network(batch[..., rows.seen, columns.seen])
        output[..., rows.kept(scale), columns.kept(scale)] = result[..., rows.own(scale), columns.own(scale)]
        if on_tile is not None:
            on_tile(done, len(tiles))
    return output


class _Span(NamedTuple):
    """One tile along one axis, in input pixels."""

    start: int
    stop: int
    top: int
    bottom: int

    @property
    def seen(self) -> slice:
        """What the network sees."""
        return slice(self.start, self.stop)

    def kept(self, scale: int) -> slice:
        """What is kept, in the whole output."""
        return slice(scale * self.top, scale * self.bottom)

    def own(self, scale: int) -> slice:
        """The same in the tile's output."""
        return slice(scale * (self.top - self.start), scale * (self.bottom - self.start))


def _tile_spans(length: int, step: int, halo: int, grid: int) -> Iterator[_Span]:
    """Tiles of one size that begin on the grid; only the last, which ends with the axis, may be shorter."""
    size = step + 2 * halo
    last = max(0, _round_up(length - size, grid))
    kept = 0
    for start in range(0, last + step, step):
        if start >= last:
            yield _Span(last, length, kept, length)
            return
        yield _Span(start, start + size, kept, start + size - halo)
        kept = start + size - halo


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
