"""Pixels to restore, read and written tile by tile: of a tensor, or of a picture.

A picture stays what it is, and only a tile of it becomes floating point at a time: 100 megapixels of RGB are
0.3 GB as bytes, and would be 1.2 GB as floats, twice.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.pictures.planes import Planes
from zoo.tiling import Area, Network, OnTile, Tile, mirror


class Pixels(Protocol):
    """Where tiles come from, and where their outputs go."""

    def read(self, area: Area) -> Tensor:
        """Pixels (B, 3, h, w) of an area, float32 in [0, 1]; beyond the image as :func:`mirror` says."""

    def write(self, area: Area, output: Tensor) -> None:
        """Keep an output (B, 3, h, w), float32 in [0, 1], as that area of the result."""


class TensorPixels:
    """A batch (B, 3, H, W) of floating point, and a result of its dtype on its device.

    Attributes:
        result: (B, 3, sH, sW).
    """

    def __init__(self, batch: Tensor, scale: int) -> None:
        self._batch = batch
        height, width = batch.shape[-2:]
        self.result = batch.new_empty(*batch.shape[:2], scale * height, scale * width)

    def read(self, area: Area) -> Tensor:
        """See :class:`Pixels`."""
        rows, columns = (mirror(*pair) for pair in zip(area, self._batch.shape[-2:], strict=True))
        return self._batch[..., rows, :][..., columns].float()

    def write(self, area: Area, output: Tensor) -> None:
        """See :class:`Pixels`."""
        self.result[(..., *area)] = output.to(self.result.device, self.result.dtype)


class PicturePixels:
    """The planes of a picture, and a result of its kind.

    Attributes:
        result: (sH, sW[, C]) array.
    """

    def __init__(self, planes: Planes, scale: int) -> None:
        self._planes = planes
        self.result: NDArray[Any] = planes.make_canvas(scale)

    def read(self, area: Area) -> Tensor:
        """See :class:`Pixels`."""
        rows, columns = (mirror(*pair) for pair in zip(area, self._planes.like.shape[:2], strict=True))
        rgb = self._planes.read(rows, columns)
        return torch.from_numpy(np.array(rgb.transpose(2, 0, 1)[None], order="C"))

    def write(self, area: Area, output: Tensor) -> None:
        """See :class:`Pixels`."""
        self._planes.write(self.result, area, output[0].permute(1, 2, 0).cpu().numpy())


def restore_tiles(
    network: Network, pixels: Pixels, tiles: Sequence[Tile], scale: int = 1, on_tile: OnTile | None = None
) -> None:
    """Restore an image tile by tile.

    Args:
        network: whose radius and multiples the tiles were planned for.
        pixels: of the image; take the outputs.
        tiles: of the image.
        scale: output side over input side.
        on_tile: called after each tile.
    """
    for done, tile in enumerate(tiles, start=1):
        output = network(pixels.read(tile.seen))
        pixels.write(tile.kept(scale), output[(..., *tile.own(scale))])
        if on_tile is not None:
            on_tile(done, len(tiles))
