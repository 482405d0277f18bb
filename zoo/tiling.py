"""Exact tiles of images of any size, and padding to a multiple.

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

Network = Callable[[Tensor], Tensor]
"""(B, 3, H, W) to (B, 3, s*H, s*W)."""

Area = tuple[slice, slice]
"""Rows and columns of an image."""

OnTile = Callable[[int, int], None]
"""Called after each tile: how many are done, and of how many. What it raises ends the work."""


def pad_to_multiple(batch: Tensor, multiple: int) -> Tensor:
    """Pad (B, 3, H, W) at the right and bottom until H and W are multiples, as :func:`mirror` says."""
    rows, columns = (mirror(slice(0, _round_up(side, multiple)), side) for side in batch.shape[-2:])
    return batch[..., rows, :][..., columns]


def mirror(span: slice, length: int) -> slice | list[int]:
    """Indices along an axis for a span that may reach beyond its end, into the padding.

    Args:
        span: with start and stop.
        length: of the axis; what lies beyond is mirrored at its last element, or repeats that one where the
            axis is too short to be mirrored.

    Example:
        >>> mirror(slice(1, 6), 4)
        [1, 2, 3, 2, 1]
    """
    if span.stop <= length:
        return span
    beyond = range(span.stop - length)
    padding = [length - 2 - i for i in beyond] if len(beyond) < length else [length - 1 for _ in beyond]
    return [*range(length), *padding][span]


class Tile(NamedTuple):
    """One tile of an image."""

    rows: "_Span"
    columns: "_Span"

    @property
    def seen(self) -> Area:
        """What the network sees, in the image; the last rows and columns may lie in its padding."""
        return self.rows.seen, self.columns.seen

    def kept(self, scale: int) -> Area:
        """What is kept, in the whole output."""
        return self.rows.kept(scale), self.columns.kept(scale)

    def own(self, scale: int) -> Area:
        """The same in the tile's output."""
        return self.rows.own(scale), self.columns.own(scale)


def plan_tiles(
    height: int, width: int, *, tile_px: int, radius_px: int, multiple: int = 1, alignment: int = 1
) -> list[Tile]:
    """The tiles of an image for a network that sees less than all of it.

    An output pixel depends on input pixels at most ``radius_px`` away, and shifting the input by
    ``alignment`` shifts the output: what the tiles keep is then, together, the output of the whole image.

    Args:
        height: in pixels; an image whose sides are no multiples is planned with its padding.
        width: the same.
        tile_px: side of the part of an inner tile that is kept; rounded up to what both multiples ask for.
        radius_px: in input pixels.
        multiple: sides of tiles are multiples of it.
        alignment: tiles begin at multiples of it.

    Example:
        >>> [tile.seen for tile in plan_tiles(8, 24, tile_px=8, radius_px=2)]
        [(slice(0, 8, None), slice(0, 12, None)), (slice(0, 8, None), slice(8, 20, None)), \
(slice(0, 8, None), slice(12, 24, None))]
    """
    grid = lcm(multiple, alignment)
    step, halo = _round_up(tile_px, grid), _round_up(radius_px, grid)
    rows, columns = (
        [span.within(length) for span in _tile_spans(_round_up(length, multiple), step, halo, grid)]
        for length in (height, width)
    )
    return [Tile(*pair) for pair in product(rows, columns)]


def surround(start: int, stop: int, length: int, *, radius_px: int, grid: int) -> tuple[slice, slice]:
    """What a network has to see along an axis for a part of it to come out as in the whole.

    Args:
        start: of the part, in input pixels.
        stop: the same.
        length: of the axis.
        radius_px: as for :func:`plan_tiles`.
        grid: the least common multiple of its ``multiple`` and ``alignment``.

    Returns:
        What is seen, in the image; and the part, in what is seen.

    Example:
        >>> surround(10, 20, 100, radius_px=3, grid=4)
        (slice(4, 24, None), slice(6, 16, None))
    """
    begin = max(0, start - radius_px) // grid * grid
    end = min(length, _round_up(stop + radius_px, grid))
    return slice(begin, end), slice(start - begin, stop - begin)


def take_whole(height: int, width: int, multiple: int = 1) -> Tile:
    """The whole image, with its padding, as one tile."""
    return Tile(*(_Span(0, _round_up(length, multiple), 0, length) for length in (height, width)))


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

    def within(self, length: int) -> "_Span":
        """The same without the padding beyond a length in what is kept."""
        return self._replace(bottom=min(self.bottom, length))

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
