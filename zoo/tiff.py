"""Directories of TIFF files, of which EXIF is one too, as Pillow parses them."""

from typing import IO, Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNKNOWN = b"MM\0+"
"""Big-endian BigTIFF, which Pillow does not know."""

MOST_PAGES = 10_000
_SUBFILE, _WIDTH, _HEIGHT = 254, 256, 257
_REDUCED, _MASK = 1, 4


def directory(stream: IO[bytes], page: int = 0) -> ImageFileDirectory_v2:
    """The tags of a page; read when they are asked for."""
    tags = _empty(stream)
    for _ in range(page + 1):
        if tags.next == 0:
            raise EOFError(f"no page {page + 1}")
        stream.seek(tags.next)
        tags.load(stream)
    return tags


def below(stream: IO[bytes], group: int, offset: int) -> ImageFileDirectory_v2:
    """The directory that a tag points to."""
    tags = _empty(stream, group)
    stream.seek(offset)
    tags.load(stream)
    return tags


def pages(stream: IO[bytes]) -> dict[int, tuple[int, int]]:
    """The sides of directories that are pages, and neither thumbnails or lower resolutions of one nor masks.

    If there are none, the first directory stands for a page, of no sides.
    """
    tags, found, seen = _empty(stream), dict[int, tuple[int, int]](), set[int]()
    while tags.next and tags.next not in seen and len(seen) < MOST_PAGES:
        seen.add(tags.next)
        stream.seek(tags.next)
        tags.load(stream)
        if not numbers(tags, _SUBFILE, 0)[0] & (_REDUCED | _MASK):
            found[len(seen) - 1] = (numbers(tags, _WIDTH, 0)[0], numbers(tags, _HEIGHT, 0)[0])
    return found or {0: (0, 0)}


def numbers(tags: ImageFileDirectory_v2 | None, tag: int, default: int) -> tuple[int, ...]:
    """The values of a tag; the default where there is none."""
    value: Any = default if tags is None else tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def _empty(stream: IO[bytes], group: int | None = None) -> ImageFileDirectory_v2:
    stream.seek(0)
    head = stream.read(16)
    return ImageFileDirectory_v2(head if head[2:3] == b"+" else head[:8], group=group)
