"""Safely decode untrusted images."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from zoo.errors import ImageError, ImageTooLargeError
from zoo.pictures import tiff
from zoo.pictures.by_pillow import (
    FORMATS,
    apply_orientation,
    check_decoded,
    decode_frame,
    pillow_errors,
    seek_frame,
)
from zoo.pictures.color import CONVERTED_MODES, to_srgb
from zoo.pictures.deep import Deep, open_deep, stream_of
from zoo.pictures.libvips import srgb_of
from zoo.pictures.metadata import (
    KEPT_CHUNKS,
    Metadata,
    chunks_of,
    dpi_of,
    is_hdr,
    of_blocks,
    of_image,
    of_tiff,
)
from zoo.pictures.picture import Header, Kind, Pages, Picture
from zoo.pictures.planes import Planes, to_array
from zoo.pictures.profiles import ADOBE_GAMMA, ADOBE_PRIMARIES, make_profile, profile_of

DEFAULT_MAX_PIXELS = 64_000_000
"""The largest full-frame cameras; below the size from which Pillow itself warns."""


_MOVING = ("AVIF", "GIF", "PNG", "WEBP")
_UNITS = ("pages", "frames")
_log = logging.getLogger(__name__)

Source = str | Path | bytes | IO[bytes]
"""A path, the file's bytes, or a binary file, which stays open."""


def read_picture(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS, page: int | None = None) -> Picture:
    """Read a picture, whole and upright, at the depth of its file.

    Args:
        source: a path, the file's bytes, or a binary file, which stays open.
        max_pixels: larger pictures are refused from their header, before anything is decoded.
        page: which of several pages or frames, from 0; by default the first, and a warning is logged.

    Raises:
        ImageTooLargeError: more pixels than allowed.
        ImageError: no such file or page, no picture of ``FORMATS``, damaged or cut short, or of a kind that
            is not supported.

    Example:
        >>> from PIL import Image
        >>> Image.new("I;16", (48, 32)).save("photo.png")
        >>> print(read_picture("photo.png").kind)
        16-bit grey
    """
    return _make_picture(*_read_one(source, max_pixels, page))


def read_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Read a picture as a PIL image; 16-bit and float colors are rounded to 8 bits.

    Args:
        source: as for :func:`read_picture`, which keeps them.
        max_pixels: the same.

    Returns:
        An image in memory; its EXIF orientation is applied and gone, its ICC profile is in ``info``.

    Raises:
        ImageTooLargeError, ImageError: as :func:`read_picture`.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (48, 32)).save("photo.png")
        >>> read_image("photo.png").size
        (48, 32)
    """
    read, _ = _read_one(source, max_pixels, None)
    return read.image() if isinstance(read, Picture) else read


def read_pages(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Pages:
    """Read all pages or frames of a file, as :func:`read_picture` reads one.

    Args:
        source: as for :func:`read_picture`.
        max_pixels: of all together.

    Raises:
        ImageTooLargeError, ImageError: as :func:`read_picture`.

    Example:
        >>> from PIL import Image
        >>> first, second = Image.new("L", (48, 32)), Image.new("L", (24, 16))
        >>> first.save("scan.tif", save_all=True, append_images=[second])
        >>> [page.size for page in read_pages("scan.tif").pictures]
        [(48, 32), (24, 16)]
    """
    content, label = _load_content(source), _label_of(source)
    with _open_file(content, label) as file:
        numbers, moves = _list_pages(content, file)
        _check_pixels(_read_sizes(content, file, numbers, moves), max_pixels)
        if isinstance(file, Deep) or not moves:
            pictures = list[Picture]()
            for number in numbers:
                with _open_file(content, label, number) as page:
                    pictures.append(_make_picture(*_decode_file(content, page, max_pixels, number)))
                _check_pixels([picture.size for picture in pictures], max_pixels)  # where headers differ
            return Pages(tuple(pictures))
        pictures, durations = [], list[float]()
        for number in numbers:
            file.seek(number)
            pictures.append(_make_picture(*_decode_file(content, file, max_pixels, number)))
            durations.append(float(file.info.get("duration") or 0))
        return Pages(tuple(pictures), tuple(durations), int(file.info.get("loop", 1)))


def read_header(source: Path | bytes, page: int | None = None) -> Header:
    """Read kind, size and number of pages of a file, without decoding it.

    Args:
        source: a path, or the file's bytes.
        page: one alone, from 0; by default the first, and how many there are.

    Raises:
        ImageError: no such file or page, or no picture of a format or a kind that we read.

    Example:
        >>> from PIL import Image
        >>> Image.new("L", (48, 32)).save("photo.png")
        >>> read_header(Path("photo.png"))
        Header(kind=Kind(channels=1, bits=8), size=(48, 32), pages=1, moves=False, is_hdr=False, later_px=0)
    """
    with _open_file(source, _label_of(source)) as first:
        numbers, moves = _list_pages(source, first)
        sizes = _read_sizes(source, first, numbers, moves) if page is None else []
        later_px = sum(width * height for width, height in sizes[1:])
    with _open_file(source, _label_of(source), _choose_page(numbers, page or 0)) as file:
        kind = file.kind if isinstance(file, Deep) else Kind.of(file)
        with stream_of(source) as stream:
            hdr = is_hdr(chunks_of(stream))
        return Header(kind, file.size, len(sizes) or 1, moves and page is None, hdr, later_px)


def upright(image: Image.Image) -> Image.Image:
    """Decode an image; one that Pillow opened is turned as its EXIF says.

    What Pillow makes of an opened image, by rotating or converting it, keeps the EXIF of the file, so the tag
    there says nothing about how it was turned since.

    Raises:
        ImageError: the picture, opened before, turns out to be damaged.
    """
    with pillow_errors("the image"):
        image.load()
        return apply_orientation(image) if isinstance(image, ImageFile.ImageFile) else image


def rgb_array(picture: Picture) -> NDArray[np.uint8]:
    """A picture as plain sRGB, for training data: (H, W, 3) uint8.

    The ICC profile is applied, alpha is composited on white, grey is replicated.
    """
    if picture.kind.bits > 8:
        return Planes.of(srgb_of(picture)).over_white()
    pixels = to_array(to_srgb(picture.image())) if picture.profile else picture.pixels
    if Kind.of_array(pixels).has_alpha:
        return Planes.of(pixels).over_white()
    # Floats, which the rest goes through, would take twice as long as decoding and give these integers again.
    colors = pixels.reshape(*pixels.shape[:2], -1)
    return np.array(np.broadcast_to(colors, (*colors.shape[:2], 3)))


def _read_one(source: Source, max_pixels: int, page: int | None) -> tuple[Image.Image | Picture, Metadata]:
    content, label = _load_content(source), _label_of(source)
    with _open_file(content, label) as file:
        numbers, moves = _list_pages(content, file)
        number = _choose_page(numbers, page or 0)
        if page is None and len(numbers) > 1:
            _log.warning("%s: the first of %d %s; read_pages reads all", label, len(numbers), _UNITS[moves])
        if number == 0:
            return _decode_file(content, file, max_pixels, 0)
    with _open_file(content, label, number) as file:
        return _decode_file(content, file, max_pixels, number)


def _decode_file(
    content: Path | bytes, file: ImageFile.ImageFile | Deep, max_pixels: int, number: int
) -> tuple[Image.Image | Picture, Metadata]:
    _check_pixels([file.size], max_pixels)
    if isinstance(file, Deep):
        picture = file.picture()
        check_decoded(file.kind, file.size, picture.kind, picture.size)
        metadata, profile = _read_metadata(content, file, number)
        if file.is_converted:
            return picture, metadata.of_converted()
        return (picture if picture.profile else replace(picture, profile=profile)), metadata
    image = decode_frame(file)
    metadata, profile = _read_metadata(content, file, number)
    if image.mode in CONVERTED_MODES:
        return image, metadata.of_converted()
    if profile:
        image.info.setdefault("icc_profile", profile)
    return image, metadata


def _make_picture(read: Image.Image | Picture, metadata: Metadata) -> Picture:
    return replace(read if isinstance(read, Picture) else Picture.of(read), metadata=metadata)


def _list_pages(content: Path | bytes, file: ImageFile.ImageFile | Deep) -> tuple[list[int], bool]:
    """Numbers of the directories or frames that are pictures, and whether they are an animation."""
    with stream_of(content) as stream:
        head = stream.read(4)
        if head in tiff.MAGIC and head != tiff.UNKNOWN:
            return [*tiff.find_pages(stream)], False
    if isinstance(file, Deep):
        return list(range(file.frames)), False  # libvips reads no animation that open_deep passes on
    if file.format not in _MOVING:  # a JPEG may have previews and maps behind it
        return [0], False
    count = int(getattr(file, "n_frames", 1))
    # What a PNG shows where animations are unknown is no frame of one.
    return list(range(1 if count > 1 and file.info.get("default_image") else 0, count)), count > 1


def _read_sizes(
    content: Path | bytes, file: ImageFile.ImageFile | Deep, numbers: Sequence[int], moves: bool
) -> list[tuple[int, int]]:
    """Width and height of each page, by its header."""
    if moves or numbers == [0]:
        return [file.size] * len(numbers)
    with stream_of(content) as stream:
        head = stream.read(4)
        if head in tiff.MAGIC and head != tiff.UNKNOWN:  # all by one walk
            return [*tiff.find_pages(stream).values()]
    sizes = list[tuple[int, int]]()
    for number in numbers:
        with _open_file(content, f"page {number + 1}", number) as page:
            sizes.append(page.size)
    return sizes


def _choose_page(numbers: list[int], page: int) -> int:
    if not 0 <= page < len(numbers):
        raise ImageError(f"expected a page from 1 to {len(numbers)}, got {page + 1}")
    return numbers[page]


def _read_metadata(
    content: Path | bytes, file: Image.Image | Deep, number: int
) -> tuple[Metadata, bytes | None]:
    """Read the metadata of a file, and the profile that it implies where none is embedded."""
    with stream_of(content) as stream:
        chunks = chunks_of(stream)
        stream.seek(0)
        head = stream.read(4)
        stream.seek(0)
        if head.startswith(tiff.MAGIC):
            metadata = of_tiff(stream, number)
        elif isinstance(file, Deep):
            metadata = of_blocks(file.block("exif"), file.block("xmp"), dpi=dpi_of(chunks))
        else:
            metadata = of_image(file.info)
    metadata = replace(metadata, chunks=tuple((name, chunks[name]) for name in KEPT_CHUNKS if name in chunks))
    grey = (file.kind if isinstance(file, Deep) else Kind.of(file)).channels < 3
    if metadata.is_adobe_rgb and not grey:
        return metadata, make_profile(ADOBE_GAMMA, ADOBE_PRIMARIES)
    return metadata, profile_of(chunks, grey)


def _load_content(source: Source) -> Path | bytes:
    if isinstance(source, str | Path):
        return Path(source)
    if isinstance(source, bytes):
        return source
    if not hasattr(source, "read"):
        raise ImageError(
            f"expected a path, bytes or a binary file, got {type(source).__name__}; Picture.of takes a PIL "
            "image, and a predictor arrays and tensors too"
        )
    source.seek(0)
    return source.read()


@contextmanager
def _open_file(content: Path | bytes, label: str, number: int = 0) -> Iterator[ImageFile.ImageFile | Deep]:
    """Open a file and read its header: as an image of Pillow's, or as a deep file."""
    with pillow_errors(label):
        deep = open_deep(content, number)
        if deep is not None:
            yield deep
            return
        with stream_of(content) as stream:
            if number and stream.read(4) in tiff.MAGIC:
                stream, number = tiff.beginning_at(stream, number), 0
            with Image.open(stream, formats=FORMATS) as image:
                seek_frame(image, number)
                yield image


def _check_pixels(sizes: Sequence[tuple[int, int]], max_pixels: int) -> None:
    total = sum(width * height for width, height in sizes)
    if total > max_pixels:
        got = f"{len(sizes)} pictures, together" if len(sizes) > 1 else "{} x {} =".format(*sizes[0])
        raise ImageTooLargeError(
            f"expected at most {max_pixels:,} pixels, got {got} {total:,}; "
            "make the picture smaller or raise max_pixels"
        )


def _label_of(source: object) -> str:
    return str(source) if isinstance(source, str | Path) else "the image"
