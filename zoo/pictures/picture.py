"""Pictures at full depth, independent of files and of Pillow's modes."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from zoo.errors import ImageError
from zoo.pictures.color import kept_profile
from zoo.pictures.metadata import Metadata
from zoo.pictures.planes import SIXTEEN_BIT_MODES, Array, of_depth, quantize, to_array, to_image

FLOAT = 32
"""Bits that stand for floating point, 1 for white."""

GREY = ("1", "L", "LA", "La")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """Channels and depth of a picture.

    Attributes:
        channels: 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha.
        bits: of a channel: 8, 16, or ``FLOAT``.
    """

    channels: int
    bits: int

    @classmethod
    def of(cls, image: Image.Image) -> "Kind":
        """Kind of the array for an image, by the rules of :mod:`zoo.pictures.planes`.

        Args:
            image: its header is enough.

        Example:
            >>> from PIL import Image
            >>> Kind.of(Image.new("I;16", (4, 3)))
            Kind(channels=1, bits=16)
        """
        if image.mode == "F":
            return cls(1, FLOAT)
        if image.mode in SIXTEEN_BIT_MODES:
            return cls(1, 16)
        return cls((1 if image.mode in GREY else 3) + image.has_transparency_data, 8)

    @classmethod
    def of_array(cls, pixels: Array) -> "Kind":
        """Kind of the pixels of a picture: (H, W) or (H, W, C)."""
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        return cls(channels, FLOAT if pixels.dtype.kind == "f" else 8 * pixels.dtype.itemsize)

    @property
    def has_alpha(self) -> bool:
        """Whether there is an alpha channel."""
        return self.channels in (2, 4)

    @property
    def is_deep(self) -> bool:
        """Whether Pillow's images cannot hold it."""
        return self.bits > 8 and self.channels > 1

    def __str__(self) -> str:
        """In words, such as ``16-bit grey``."""
        depth = "float" if self.bits == FLOAT else f"{self.bits}-bit"
        return f"{depth} {'grey' if self.channels < 3 else 'RGB'}{' with alpha' if self.has_alpha else ''}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture at the depth of its file.

    Attributes:
        pixels: (H, W), or (H, W, C) with 2 channels for grey with alpha, 3 for RGB, 4 for RGB with alpha;
            uint8, uint16, or float32 with 1 for white.
        profile: the ICC profile of these colours, if any.
        metadata: of its file.

    Example:
        >>> import numpy as np
        >>> print(Picture(np.zeros((32, 48, 3), np.uint16)).kind)
        16-bit RGB
    """

    pixels: Array = field(repr=False)
    profile: bytes | None = field(default=None, repr=False)
    metadata: Metadata = field(default_factory=Metadata, repr=False)

    @classmethod
    def of(cls, image: Image.Image) -> "Picture":
        """The picture in a PIL image, by the rules of :mod:`zoo.pictures.planes`.

        Raises:
            ImageError: a mode, or a range of a 32-bit picture, that no rule covers.
        """
        return cls(to_array(image), kept_profile(image))

    @property
    def kind(self) -> Kind:
        """Channels and depth of the pixels."""
        return Kind.of_array(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def image(self) -> Image.Image:
        """A PIL image, with the profile in its ``info``.

        Pillow holds more than 8 bits for grey alone: of other kinds 8 bits are left, and a warning is logged.
        """
        pixels = self.pixels
        if self.kind.is_deep:
            _log.warning("%s is rounded to 8 bits: PIL images hold no more; read_picture keeps it", self.kind)
            pixels = of_depth(pixels, np.dtype(np.uint8))
        image = to_image(pixels)
        if self.profile:
            image.info["icc_profile"] = self.profile
        return image

    def reduced(self, side_px: int) -> "Picture":
        """A copy whose longer side is at most ``side_px``, by Lanczos' filter; the picture itself if it is.

        Example:
            >>> import numpy as np
            >>> Picture(np.zeros((32, 48, 3), np.uint16)).reduced(24).size
            (24, 16)
        """
        longest = max(self.size)
        if longest <= side_px:
            return self
        width, height = (max(1, round(side * side_px / longest)) for side in self.size)
        return replace(self, pixels=_resize(self.pixels, width, height))


@dataclass(frozen=True)
class Header:
    """Facts about a file that are known without decoding it.

    Attributes:
        kind: of picture that a network makes of it.
        size: width and height in the file, before its EXIF orientation is applied.
        pages: how many pages or frames there are.
        moves: whether they are frames of an animation.
        is_hdr: whether its colours are those of PQ or HLG, brighter than any white.
        later_px: pixels of the pages after the first, together.
    """

    kind: Kind
    size: tuple[int, int]
    pages: int = 1
    moves: bool = False
    is_hdr: bool = False
    later_px: int = 0

    @property
    def pixels(self) -> int:
        """Number of pixels of all pages."""
        return self.size[0] * self.size[1] + self.later_px

    @property
    def count(self) -> str:
        """In words, such as ``3 frames``."""
        return f"{self.pages} {'frame' if self.moves else 'page'}{'s' if self.pages > 1 else ''}"


@dataclass(frozen=True, eq=False)
class Pages:
    """The pages of a file, or the frames of an animation.

    Attributes:
        pictures: one at least.
        durations_ms: how long each frame is shown; none for pages.
        loops: how often an animation runs; 0 is for ever.

    Raises:
        ImageError: there is no picture, not a time for each frame, or frames are of several sizes.

    Example:
        >>> import numpy as np
        >>> dark, light = Picture(np.zeros((32, 48), np.uint8)), Picture(np.ones((32, 48), np.uint8))
        >>> len(Pages((dark, light), durations_ms=(40, 40)).pictures)
        2
    """

    pictures: tuple[Picture, ...]
    durations_ms: tuple[float, ...] = ()
    loops: int = 0

    def __post_init__(self) -> None:
        """Check the number of pictures and durations, and the sizes of frames."""
        count, times = len(self.pictures), len(self.durations_ms)
        if not count:
            raise ImageError("expected one picture at least, got none")
        if times not in (0, count):
            raise ImageError(
                f"expected {count} durations, one for each frame, got {times}; or give none for pages"
            )
        sizes = sorted({picture.size for picture in self.pictures})
        if times and len(sizes) > 1:
            several = ", ".join(f"{width} x {height}" for width, height in sizes[:3])
            raise ImageError(
                f"expected frames of one size, got {several}; make them alike, or give no durations"
            )


def _resize(pixels: Array, width: int, height: int) -> Array:
    """Reduce pixels of any kind; colours count as much as they are opaque."""
    lanczos = Image.Resampling.LANCZOS
    if pixels.dtype == np.uint8:  # Pillow knows transparency
        return np.asarray(to_image(pixels).resize((width, height), lanczos))
    channels = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    has_alpha = channels.shape[2] in (2, 4)
    if has_alpha:
        channels[..., :-1] *= channels[..., -1:]
    planes = [
        Image.fromarray(plane).resize((width, height), lanczos) for plane in np.moveaxis(channels, 2, 0)
    ]
    made = np.stack([np.asarray(plane) for plane in planes], axis=2)
    if has_alpha:
        colors, alpha = made[..., :-1], made[..., -1:]
        made[..., :-1] = np.divide(colors, alpha, out=np.zeros_like(colors), where=alpha > 1e-3)
    return quantize(made.reshape(height, width, *pixels.shape[2:]), pixels.dtype)
