"""Formats that pictures are written in: what each can hold, and how it is encoded.

| format | bits of a channel | transparency | pixels a side |
|---|---|---|---|
| PNG | 8 or 16 | yes | 2,147,483,647 |
| TIFF | 8, 16 or floating point | yes | 4,294,967,295 |
| WEBP | 8 | yes | 16,383 |
| JPEG | 8 | no | 65,500 |

The table is about what this package writes: formats may hold more. A picture of more bits than a format holds
is rounded, which :meth:`Format.fit` reports beforehand. Transparency and sizes that do not fit are refused.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image

from zoo.errors import ImageError
from zoo.pictures import libvips
from zoo.pictures.by_pillow import FORMATS as READABLE
from zoo.pictures.heif import SUFFIXES as HEIF_SUFFIXES
from zoo.pictures.metadata import Metadata, into_png, into_tiff, jpeg_options, webp_options
from zoo.pictures.picture import FLOAT, Header, Kind, Pages, Picture
from zoo.pictures.planes import of_depth


@dataclass(frozen=True)
class Format:
    """A format that we write.

    Attributes:
        name: Pillow's.
        suffixes: of its files, the usual one first.
        bits: the depths of a channel that it holds.
        side_px: the longest side.
        transparent: whether it holds alpha.
        options: how Pillow writes it, as true as the format allows.
        several: what it may have several of: pages, frames, or neither.
        lossy: what a quality from 1 to 100 changes of them; None where it has none.
    """

    name: str
    suffixes: tuple[str, ...]
    bits: tuple[int, ...]
    side_px: int
    transparent: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    lossy: Mapping[str, Any] | None = None
    several: Literal["", "pages", "frames"] = ""

    def holds(self, kind: Kind, size: tuple[int, int]) -> bool:
        """Whether it holds such a picture as it is."""
        fits = max(size) <= self.side_px and (self.transparent or not kind.has_alpha)
        return fits and kind.bits in self.bits

    def fit(self, kind: Kind, size: tuple[int, int]) -> str | None:
        """Describe what is lost on a picture of that kind, width and height; None if nothing is.

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
        if kind.has_alpha and not self.transparent:
            raise ImageError(f"{self.name} holds no transparency; {_suggest_suffixes(kind, size)}")
        if max(size) > self.side_px:
            raise ImageError(
                f"{self.name} holds at most {self.side_px:,} pixels a side, got {size[0]} x {size[1]}; "
                f"{_suggest_suffixes(kind, size)}"
            )
        if kind.bits in self.bits:
            return None
        holders = [form.name for form in _formats_for(kind, size)]
        others = f"{' and '.join(holders)} {'hold' if holders[1:] else 'holds'}"
        return f"{kind} is rounded to {max(self.bits)} bits: {self.name} holds no more; {others} it"

    def fit_pages(self, header: Header) -> str | None:
        """The same of a file of several pages or frames.

        Raises:
            ImageError: it cannot hold them.

        Example:
            >>> try:
            ...     BY_NAME["JPEG"].fit_pages(Header(Kind(channels=3, bits=8), (640, 480), pages=3))
            ... except ImageError as error:
            ...     print(error)
            3 pages, and JPEG holds one; choose .tif
        """
        if header.is_hdr and self.name != "PNG":
            raise ImageError(f"{self.name} holds no HDR, which the picture's file says it is; choose .png")
        if header.pages == 1:
            return self.fit(header.kind, header.size)
        if not self.several or (self.several == "frames" and not header.moves):
            able = ("pages", "frames") if header.moves else ("pages",)
            holders = [form for form in WRITABLE if form.several in able]
            names = " or ".join(form.suffixes[0] for form in holders)
            raise ImageError(f"{header.count}, and {self.name} holds one; choose {names}")
        notes = [self.fit(header.kind, header.size)]
        if self.several == "pages" and header.moves:
            notes.append(f"{header.count} become pages: {self.name} has no animations; PNG and WEBP have")
        if self.several == "frames" and notes[0] is None and header.kind.bits > 8:
            notes.append(f"{header.kind} is rounded to 8 bits: frames of {self.name} hold no more")
        return "; ".join(note for note in notes if note) or None

    def encode(self, picture: Picture | Image.Image, *, quality: int | None = None, level: int = 6) -> bytes:
        """The picture as a file, with its profile and metadata; rounded as :meth:`fit` says.

        Args:
            picture: what a predictor gives.
            quality: from 1 to 100, for formats that have one; what is closest to the picture by default.
            level: of lossless compression, from 1 to 9: smaller or faster.

        Raises:
            ImageError: the format cannot hold the picture, or has no quality.

        Example:
            >>> from PIL import Image
            >>> len(BY_NAME["PNG"].encode(Image.new("F", (4, 3)))) > 0
            True
        """
        if isinstance(picture, Image.Image):
            picture = Picture.of(picture)
        kind = picture.kind
        self.fit_pages(Header(kind, picture.size, is_hdr=picture.metadata.is_hdr))
        self._check_quality(quality)
        if kind.bits not in self.bits:
            picture = replace(picture, pixels=of_depth(picture.pixels, np.dtype(f"uint{max(self.bits)}")))
        metadata = picture.metadata.sized(picture.size)
        data = self._encoded(picture, metadata, level, quality)
        if self.name == "PNG":
            return into_png(data, metadata, has_profile=picture.profile is not None)
        return into_tiff([(data, metadata)]) if self.name == "TIFF" else data

    def encode_pages(self, pages: Pages, *, quality: int | None = None, level: int = 6) -> bytes:
        """Pages or frames as a file, as :meth:`encode` writes one picture.

        Raises:
            ImageError: the format cannot hold them, or has no quality.
        """
        first, *rest = pages.pictures
        if not rest:
            return self.encode(first, quality=quality, level=level)
        moves, is_hdr = bool(pages.durations_ms), first.metadata.is_hdr
        self.fit_pages(Header(first.kind, first.size, len(pages.pictures), moves, is_hdr))
        self._check_quality(quality)
        if self.several == "pages":
            files = [(self._encoded(page, Metadata(), level, None), page) for page in pages.pictures]
            return into_tiff((data, page.metadata.sized(page.size)) for data, page in files)
        metadata = first.metadata.sized(first.size)
        options = self._options(metadata, level, quality)
        start, *frames = _unify_modes(pages.pictures)
        durations = [round(duration) for duration in pages.durations_ms]
        if self.name == "PNG":  # each frame replaces the one before, which matters where it is transparent
            options["blend"] = 0
        elif start.mode in ("LA", "RGBA"):  # whole frames: from parts, libwebp may infer that all is opaque
            options |= {"kmin": 0, "kmax": 1}
        options |= {"duration": durations, "loop": pages.loops, "icc_profile": first.profile}
        data = self._saved(start, f"{len(durations)} frames", save_all=True, append_images=frames, **options)
        return into_png(data, metadata, has_profile=bool(first.profile)) if self.name == "PNG" else data

    def _encoded(self, picture: Picture, metadata: Metadata, level: int, quality: int | None) -> bytes:
        if picture.kind.is_deep:
            return libvips.encode_deep(picture, self.name, level)
        options = self._options(metadata, level, quality)
        label = f"this picture ({picture.kind})"
        return self._saved(picture.image(), label, icc_profile=picture.profile, **options)

    def _saved(self, image: Image.Image, label: str, **options: Any) -> bytes:
        """Encode an image with Pillow."""
        out = BytesIO()
        try:
            image.save(out, self.name, **options)
        # The last two of times and loops, by version of Pillow.
        except (OSError, ValueError, RuntimeError, OverflowError, struct.error) as error:
            raise ImageError(f"{self.name} cannot hold {label}: {error}") from error
        return out.getvalue()

    def _check_quality(self, quality: int | None) -> None:
        if quality is not None and self.lossy is None:
            raise ImageError(f"{self.name} is lossless, got quality {quality}; leave it out")

    def _options(self, metadata: Metadata, level: int, quality: int | None) -> dict[str, Any]:
        """Options of Pillow's writer."""
        options = dict(self.options)
        if self.name == "PNG":
            options["compress_level"] = level
        elif self.name in ("JPEG", "WEBP"):
            options |= jpeg_options(metadata) if self.name == "JPEG" else webp_options(metadata)
        if quality is not None:
            options |= {**(self.lossy or {}), "quality": quality}
        return options


WRITABLE = (
    Format("PNG", (".png",), (8, 16), 2**31 - 1, several="frames"),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        (8, 16, FLOAT),
        2**32 - 1,
        options={"compression": "tiff_adobe_deflate"},
        several="pages",
    ),
    Format(
        "WEBP",
        (".webp",),
        (8,),
        16383,
        options={"lossless": True},
        lossy={"lossless": False},
        several="frames",
    ),
    # Its files may say 65,535; libjpeg, which writes them, stops at 65,500.
    Format(
        "JPEG",
        (".jpg", ".jpeg"),
        (8,),
        65500,
        transparent=False,
        options={"quality": 95, "subsampling": 0},
        lossy={},
    ),
)
BY_NAME = {form.name: form for form in WRITABLE}
BY_SUFFIX = {suffix: form for form in WRITABLE for suffix in form.suffixes}
"""Formats by the suffix of their files, in small letters."""
FALLBACK_SUFFIX = ".png"
"""For results of pictures in a format that can be read and not written."""


def readable_suffixes() -> frozenset[str]:
    """Usual suffixes, in lower case, of the formats that are read; HEIC asks for the extra ``heif``."""
    return HEIF_SUFFIXES | {s for s, name in Image.registered_extensions().items() if name in READABLE}


def parse_suffix(name: str) -> str:
    """The suffix of a format that is written, such as ``.png``, from that or from ``PNG``.

    Raises:
        ImageError: there is no such format.
    """
    suffix = f".{name.lower().removeprefix('.')}"
    if suffix not in BY_SUFFIX:
        valid = ", ".join(known[1:] for known in BY_SUFFIX)
        raise ImageError(f"expected one of {valid}, got {name!r}")
    return suffix


def name_result(place: str, suffix: str | None = None) -> str:
    """The path of what a picture becomes: with another suffix, or its own where that format is written."""
    stem, own = os.path.splitext(place)
    found = suffix or (own.lower() if own.lower() in BY_SUFFIX else FALLBACK_SUFFIX)
    if own.lower() == found:  # upper case is kept
        return place
    # In portrait.v2, .v2 is no suffix.
    return f"{stem if own.lower() in readable_suffixes() else place}{found}"


def _formats_for(kind: Kind, size: tuple[int, int]) -> list[Format]:
    return [form for form in WRITABLE if form.holds(kind, size)]


def _suggest_suffixes(kind: Kind, size: tuple[int, int]) -> str:
    *most, last = [form.suffixes[0] for form in _formats_for(kind, size)]
    return f"choose {', '.join(most)} or {last}" if most else f"choose {last}"


def _unify_modes(pictures: Sequence[Picture]) -> list[Image.Image]:
    """Convert frames to 8 bits and one mode."""
    eight = np.dtype(np.uint8)
    images = [replace(picture, pixels=of_depth(picture.pixels, eight)).image() for picture in pictures]
    modes = {image.mode for image in images}
    if len(modes) == 1:
        return images
    return [image.convert("RGBA" if modes & {"LA", "RGBA"} else "RGB") for image in images]
