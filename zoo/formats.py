"""What a file format holds, known before there is anything to write, and pictures written into one.

| format | grey | colour | transparency | pixels a side |
|---|---|---|---|---|
| PNG | 8 or 16 bits | 8 bits | yes | 2,147,483,647 |
| TIFF | 8 or 16 bits, floating point | 8 bits | yes | 4,294,967,295 |
| WEBP | 8 bits | 8 bits | yes | 16,383 |
| JPEG | 8 bits | 8 bits | no | 65,500 |

These are the pictures that this package makes and Pillow writes: formats may hold more. A picture of more
bits than a format holds is rounded, and whoever asks beforehand gets a sentence that says so. Transparency
and sides that do not fit are refused, because no rounding is right for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.errors import ImageError
from zoo.images import FORMATS as READABLE
from zoo.images import pillow_errors
from zoo.planes import SIXTEEN_BIT_MODES

FLOAT = 32
"""Bits that stand for floating point, 1 for white."""

GREY = ("1", "L", "LA", "La")


@dataclass(frozen=True)
class Kind:
    """What the pixels of a picture are made of.

    Attributes:
        channels: 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha.
        bits: of a channel: 8, 16, or ``FLOAT``.
    """

    channels: int
    bits: int

    @classmethod
    def of(cls, image: Image.Image) -> "Kind":
        """The kind of what a network makes of an image: the rules of :mod:`zoo.planes`.

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

    @property
    def has_alpha(self) -> bool:
        """Whether it may be transparent."""
        return self.channels in (2, 4)

    def __str__(self) -> str:
        """In words, such as ``16-bit grey``."""
        depth = "float" if self.bits == FLOAT else f"{self.bits}-bit"
        return f"{depth} {'grey' if self.channels < 3 else 'RGB'}{' with alpha' if self.has_alpha else ''}"


@dataclass(frozen=True)
class Format:
    """A format that we write.

    Attributes:
        name: Pillow's.
        suffixes: of its files, the usual one first.
        bits: the depths it holds, by channels; no key where it holds no such picture.
        side_px: the longest side.
        options: how Pillow writes it, as true as the format allows.
        lossy: what a quality from 1 to 100 changes of them; None where it has none.
    """

    name: str
    suffixes: tuple[str, ...]
    bits: Mapping[int, tuple[int, ...]]
    side_px: int
    options: Mapping[str, Any] = field(default_factory=dict)
    lossy: Mapping[str, Any] | None = None

    def holds(self, kind: Kind, size: tuple[int, int]) -> bool:
        """Whether it holds such a picture as it is."""
        return kind.bits in self.bits.get(kind.channels, ()) and max(size) <= self.side_px

    def fit(self, kind: Kind, size: tuple[int, int]) -> str | None:
        """What is lost on a picture of that kind, width and height: a sentence; None if nothing is.

        Raises:
            ImageError: it cannot hold the picture; the message names what can.

        Example:
            >>> BY_NAME["WEBP"].fit(Kind(channels=1, bits=16), (640, 480))
            '16-bit grey is rounded to 8 bits: WEBP holds no more; PNG and TIFF hold it'
            >>> try:
            ...     BY_NAME["JPEG"].fit(Kind(channels=4, bits=8), (640, 480))
            ... except ImageError as error:
            ...     print(error)
            JPEG holds no transparency; choose .png, .tif or .webp
        """
        depths = self.bits.get(kind.channels)
        if depths is None:
            raise ImageError(f"{self.name} holds no transparency; {_advice(kind, size)}")
        if max(size) > self.side_px:
            raise ImageError(
                f"{self.name} holds at most {self.side_px:,} pixels a side, got {size[0]} x {size[1]}; "
                f"{_advice(kind, size)}"
            )
        if kind.bits in depths:
            return None
        holders = [form.name for form in _holders(kind, size)]
        others = f"{' and '.join(holders)} {'hold' if holders[1:] else 'holds'}"
        return f"{kind} is rounded to {max(depths)} bits: {self.name} holds no more; {others} it"

    def encode(self, image: Image.Image, *, quality: int | None = None, **options: Any) -> bytes:
        """The picture as a file, with its colour profile; rounded as :meth:`fit` says.

        Args:
            image: what a predictor gives.
            quality: from 1 to 100, for formats that have one; what is closest to the picture by default.
            **options: of Pillow, instead of ours.

        Raises:
            ImageError: the format cannot hold the picture, or has no quality.

        Example:
            >>> from PIL import Image
            >>> len(BY_NAME["PNG"].encode(Image.new("F", (4, 3)))) > 0
            True
        """
        kind = Kind.of(image)
        self.fit(kind, image.size)
        written = {**self.options, **options}
        if quality is not None:
            if self.lossy is None:
                raise ImageError(f"{self.name} is lossless, got quality {quality}; leave it out")
            written |= {**self.lossy, "quality": quality}
        depths = self.bits[kind.channels]
        picture = image if kind.bits in depths else _rounded(image, kind.bits, max(depths))
        out = BytesIO()
        try:
            picture.save(out, self.name, icc_profile=image.info.get("icc_profile"), **written)
        except (OSError, ValueError) as error:
            raise ImageError(f"{self.name} cannot hold this picture ({kind}): {error}") from error
        return out.getvalue()


_EIGHT = dict.fromkeys((1, 2, 3, 4), (8,))

WRITABLE = (
    Format("PNG", (".png",), {**_EIGHT, 1: (8, 16)}, 2**31 - 1),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        {**_EIGHT, 1: (8, 16, FLOAT)},
        2**32 - 1,
        {"compression": "tiff_adobe_deflate"},
    ),
    Format("WEBP", (".webp",), _EIGHT, 16383, {"lossless": True}, {"lossless": False}),
    # Its files may say 65,535; libjpeg, which writes them, stops at 65,500.
    Format("JPEG", (".jpg", ".jpeg"), {1: (8,), 3: (8,)}, 65500, {"quality": 95, "subsampling": 0}, {}),
)
BY_NAME = {form.name: form for form in WRITABLE}
BY_SUFFIX = {suffix: form for form in WRITABLE for suffix in form.suffixes}
"""Formats by the suffix of their files, in small letters."""


def readable_suffixes() -> frozenset[str]:
    """The suffixes, in small letters, that files of the formats we read usually have."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in READABLE)


def read_header(source: Path | bytes) -> tuple[Kind, tuple[int, int]]:
    """The kind of picture that a network makes of this one, and the picture's width and height.

    Nothing is decoded; the sides are those of the file, before its EXIF orientation is applied.

    Raises:
        ImageError: no such file, or no picture of a format that we read.

    Example:
        >>> from PIL import Image
        >>> Image.new("L", (48, 32)).save("photo.png")
        >>> read_header(Path("photo.png"))
        (Kind(channels=1, bits=8), (48, 32))
    """
    label = "the image" if isinstance(source, bytes) else str(source)
    stream = BytesIO(source) if isinstance(source, bytes) else source
    with pillow_errors(label), Image.open(stream, formats=READABLE) as image:
        return Kind.of(image), image.size


def _holders(kind: Kind, size: tuple[int, int]) -> list[Format]:
    return [form for form in WRITABLE if form.holds(kind, size)]


def _advice(kind: Kind, size: tuple[int, int]) -> str:
    *most, last = [form.suffixes[0] for form in _holders(kind, size)]
    return f"choose {', '.join(most)} or {last}" if most else f"choose {last}"


def _rounded(image: Image.Image, bits: int, to_bits: int) -> Image.Image:
    # Pillow's own conversions clip at 255: 16 bits would come out white, floats black.
    white = 1.0 if bits == FLOAT else 2.0**bits - 1
    scaled = np.asarray(image, dtype=np.float32) * np.float32((2**to_bits - 1) / white)
    limited = np.clip(np.rint(scaled), 0, 2**to_bits - 1)
    return Image.fromarray(limited.astype(np.uint8 if to_bits == 8 else np.uint16))
