"""Convert pictures to the network's RGB in [0, 1], and its output back to the kind of the picture.

The network takes RGB in [0, 1]. What else a picture may be follows these rules:

| picture | the network sees | what comes back |
|---|---|---|
| grey | three equal channels | grey: the channels' mean |
| 1 bit | black and white as grey | 8-bit grey |
| palette | its RGB | RGB, or RGBA if it is transparent |
| alpha, or a transparent colour | the visible colours, spread to where it is 0 | the same alpha, enlarged |
| CMYK, LAB, YCbCr, HSV | RGB (by ICC profile if any) | RGB |

Depth stays what it was: 8 or 16 bits, or floating point, whatever the channels.

An array is (H, W), (H, W, 1), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4) with alpha; uint8, uint16,
or floating point with 1 for white. The ICC profile stays on the output where its colour space does.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import ImageError
from zoo.pictures.color import to_rgb

Array = NDArray[Any]

FLOAT_RANGE = (-2.0, 3.0)
"""Allowed range of float pictures: [0, 1] with room for unclipped noise, but not 0..255."""

SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_BASE_MODES = {"1": "L", "La": "LA", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA"}
_OPAQUE_MODES = {"L": "LA", "RGB": "RGBA", "P": "RGBA"}


@dataclass(frozen=True, eq=False)
class Planes:
    """The colors and the alpha of one picture, converted part by part.

    Attributes:
        like: (H, W[, C]) array whose dtype, channels and alpha the output takes.
        filled: (H, W, 3) float32, where some pixels are invisible: the colors with those replaced.
    """

    like: Array = field(repr=False)
    filled: NDArray[np.float32] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, array: Array) -> "Planes":
        """Planes of an array; its kinds are at the head of this module.

        Raises:
            ImageError: another shape or dtype, no pixels, or floats that are not finite or not about [0, 1].
        """
        like = _check_array(array)
        if like.shape[2] in (1, 3) or (like[..., -1] > 0).all():
            return cls(array)
        return cls(array, _spread_colors(_convert_colors(like), like[..., -1] > 0))

    @property
    def alpha(self) -> Array | None:
        """(H, W) of the picture's dtype, or None."""
        has_alpha = self.like.ndim == 3 and self.like.shape[2] in (2, 4)
        return self.like[..., -1] if has_alpha else None

    @property
    def rgb(self) -> NDArray[np.float32]:
        """All colors (H, W, 3), white is 1."""
        return self.read(slice(None), slice(None))

    def read(self, rows: slice | list[int], columns: slice | list[int]) -> NDArray[np.float32]:
        """Colors (h, w, 3) of some rows and columns, white is 1."""
        if self.filled is not None:
            return self.filled[rows][:, columns]
        return _convert_colors(self.like[rows][:, columns])

    def cut(self, rows: slice, columns: slice) -> "Planes":
        """The planes of a part of the picture."""
        filled = None if self.filled is None else self.filled[rows, columns]
        return Planes(self.like[rows, columns], filled)

    def make_canvas(self, scale: int) -> Array:
        """An array (sH, sW[, C]) of the picture's kind, for :meth:`write`; its alpha is the picture's."""
        height, width, *channels = self.like.shape
        canvas = np.empty((scale * height, scale * width, *channels), self.like.dtype)
        if self.alpha is not None:
            canvas[..., -1] = _enlarge_alpha(self.alpha, canvas.shape[:2])
        return canvas

    def write(self, canvas: Array, area: tuple[slice, slice], rgb: Array) -> None:
        """Put a part of the network's output onto the canvas.

        Args:
            canvas: of :meth:`make_canvas`.
            area: its rows and columns.
            rgb: (h, w, 3) float in [0, 1]; as grey their mean, as integers rounded.
        """
        part = canvas[area] if canvas.ndim == 3 else canvas[area][..., None]
        count = _color_count(part)
        colour = rgb.mean(axis=2, keepdims=True) if count == 1 else rgb
        part[..., :count] = quantize(colour * _white_of(canvas), canvas.dtype)

    def over_white(self) -> NDArray[np.uint8]:
        """The picture as (H, W, 3) uint8, alpha composited on white."""
        if self.alpha is None:
            rgb = self.rgb
        else:
            opacity = self.alpha[..., None].astype(np.float32) / np.float32(_white_of(self.like))
            rgb = 1 - opacity * (1 - self.rgb)
        return quantize(rgb * 255, np.dtype(np.uint8))


def to_array(image: Image.Image) -> Array:
    """Convert a PIL image to an array (H, W[, C]), uint8, uint16 or float32.

    Raises:
        ImageError: a mode, or a range of a 32-bit picture, that no rule covers.
    """
    if image.mode in SIXTEEN_BIT_MODES:
        return sixteen_bit(np.asarray(image))
    if image.mode == "F":
        return np.asarray(image)
    base = _BASE_MODES.get(image.mode, image.mode)
    if image.has_transparency_data:
        base = _OPAQUE_MODES.get(base, base)
    elif base == "P":
        base = "RGB"
    if base not in ("L", "LA", "RGB", "RGBA"):
        return np.asarray(to_rgb(image))
    return np.asarray(image if image.mode == base else image.convert(base))


def to_image(array: Array) -> Image.Image:
    """Convert an array of :func:`to_array` or :meth:`Planes.write` to a PIL image."""
    return Image.fromarray(array.astype(np.float32) if array.dtype.kind == "f" else array)


def of_depth(array: Array, dtype: np.dtype[Any]) -> Array:
    """Rescale pixels to the range of another dtype, rounded and clipped."""
    # Pillow's own conversions clip at 255: 16 bits would come out white, floats black.
    scaled = np.asarray(array, dtype=np.float32) * np.float32(np.iinfo(dtype).max / _white_of(array))
    return quantize(scaled, dtype)


def sixteen_bit(array: Array) -> Array:
    """Integers of any width as uint16.

    Raises:
        ImageError: some are not from 0 to 65535.
    """
    if array.min() < 0 or array.max() > 65535:
        raise ImageError(
            f"expected 16-bit values 0 to 65535, got {array.min()} to {array.max()}; scale the picture first"
        )
    return array.astype(np.uint16)


def _check_array(array: Array) -> Array:
    """The array as (H, W, C)."""
    if not isinstance(array, np.ndarray):
        raise ImageError(
            f"expected an array as pixels, got {type(array).__name__}; Picture.of takes a PIL image, and "
            "read_picture a path"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ImageError(
            f"expected an array (H, W) or (H, W, 1 to 4), got shape {array.shape}; transpose it if channels "
            "come first"
        )
    if array.size == 0:
        raise ImageError(f"expected at least one pixel, got shape {array.shape}")
    if array.dtype.kind != "f" and array.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"expected uint8, uint16 or floating point, got {array.dtype}; convert with astype")
    if array.dtype.kind == "f":
        check_range(float(array.min()), float(array.max()))
    return array if array.ndim == 3 else array[..., None]


def check_range(low: float, high: float) -> None:
    """Check that the range of a float picture is about [0, 1].

    Raises:
        ImageError: NaN, an infinity, or far outside [0, 1].
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError(f"expected floats in [0, 1], got {low:g} to {high:g}; replace what is not finite")
    if low < FLOAT_RANGE[0] or high > FLOAT_RANGE[1]:
        raise ImageError(f"expected floats in [0, 1], got {low:g} to {high:g}; divide 0..255 by 255")


def _convert_colors(pixels: Array) -> NDArray[np.float32]:
    """The colors (H, W, 3) of pixels (H, W[, C]), white is 1; grey is seen as three equal channels."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    colour = pixels[..., : _color_count(pixels)]
    rgb = colour.astype(np.float32) / np.float32(_white_of(pixels))
    return np.broadcast_to(rgb, (*pixels.shape[:2], 3))


def _color_count(like: Array) -> int:
    return 1 if like.shape[2] < 3 else 3


def _white_of(array: Array) -> float:
    return 1.0 if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max)


def quantize(values: Array, dtype: np.dtype[Any]) -> Array:
    """Round and clip numbers to those of a dtype; floating point stays as it is."""
    if dtype.kind == "f":
        return values.astype(dtype)
    limit = np.iinfo(dtype).max
    return np.clip(np.rint(values), 0, limit).astype(dtype)


def _enlarge_alpha(alpha: Array, shape: tuple[int, int]) -> Array:
    if alpha.shape == shape:
        return alpha
    plane = Image.fromarray(alpha.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC)
    return quantize(np.clip(np.asarray(plane), 0, _white_of(alpha)), alpha.dtype)


def _spread_colors(rgb: Array, visible: NDArray[np.bool_]) -> Array:
    """Replace invisible colors (H, W, 3) by means of visible ones nearby.

    A file may hold anything there, often black, and a network would spread it into visible parts.
    """
    if visible.all():
        return rgb
    height, width = visible.shape
    if visible.size == 1:
        return np.zeros_like(rgb)
    odd = ((0, height % 2), (0, width % 2))
    weights = np.pad(visible, odd).astype(np.float32)[..., None]
    colours = np.pad(rgb, (*odd, (0, 0))) * weights
    count, total = _sum_blocks(weights), _sum_blocks(colours)
    around = _spread_colors(total / np.maximum(count, 1), count[..., 0] > 0)
    return np.where(visible[..., None], rgb, around.repeat(2, 0).repeat(2, 1)[:height, :width])


def _sum_blocks(array: Array) -> Array:
    """Sum blocks of 2 x 2: (H, W, C) to (H/2, W/2, C)."""
    return array[::2, ::2] + array[1::2, ::2] + array[::2, 1::2] + array[1::2, 1::2]
