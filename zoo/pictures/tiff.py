"""Directories of TIFF files, of which EXIF is one too, as Pillow parses them."""

import struct
from io import SEEK_CUR, SEEK_SET, BufferedReader, RawIOBase
from typing import IO, Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNKNOWN = b"MM\0+"
"""Big-endian BigTIFF, which Pillow does not know."""

MOST_PAGES = 10_000
_LINK_AT = {"<I": 4, ">I": 4, "<Q": 8, ">Q": 8}
_SUBFILE, _WIDTH, _HEIGHT = 254, 256, 257
_REDUCED, _MASK = 1, 4
_RAW, _WEBP = 1, 50001
_YCBCR = 6


def directory(stream: IO[bytes], page: int = 0) -> ImageFileDirectory_v2:
    """The tags of a page; read when they are asked for."""
    tags, (start, _) = _empty(stream), _link(stream, page)
    stream.seek(start)
    tags.load(stream)
    return tags


def beginning_at(stream: IO[bytes], page: int) -> IO[bytes]:
    """The same file with a page as its first, because Pillow parses all pages on the way to one."""
    start, form = _link(stream, page)
    stream.seek(0)
    head = stream.read(_LINK_AT[form])
    return BufferedReader(_Headed(stream, head + struct.pack(form, start)))


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


def is_misread(tags: ImageFileDirectory_v2) -> bool:
    """Whether Pillow opens a page of 8 bits and then reads it wrongly, or not at all."""
    compression = numbers(tags, 259, _RAW)[0]
    if compression != _RAW:
        return compression == _WEBP  # libtiff of Pillow's wheel is without it
    # Uncompressed data it unpacks by code of its own, which knows neither fewer samples of colour than of
    # light, nor tiles whose places stand where those of strips do.
    is_subsampled = numbers(tags, 262, 0)[0] == _YCBCR and numbers(tags, 530, 2) != (1, 1)
    return is_subsampled or (322 in tags and 273 in tags)


class _Headed(RawIOBase):
    """A file with other bytes at its start."""

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        self._stream, self._head = stream, head

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        """For libtiff, which goes by the offset of a directory."""
        return self._stream.fileno()

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        start = self._stream.tell()
        data = self._stream.read(len(buffer))
        own = self._head[start : start + len(data)]
        buffer[: len(data)] = own + data[len(own) :]
        return len(data)


def _link(stream: IO[bytes], page: int) -> tuple[int, str]:
    """Where the directory of a page begins, and how the file writes that; nothing is parsed on the way."""
    stream.seek(0)
    head = stream.read(4)
    order = "<" if head.startswith(b"II") else ">"
    count, entry_bytes, link = ("Q", 20, "Q") if b"+" in head else ("H", 12, "I")
    stream.seek(_LINK_AT[order + link])
    for number in range(page + 1):
        (start,) = struct.unpack(order + link, stream.read(struct.calcsize(link)))
        if start == 0:
            raise EOFError(f"no page {page + 1}")
        if number < page:
            stream.seek(start)
            (entries,) = struct.unpack(order + count, stream.read(struct.calcsize(count)))
            stream.seek(entry_bytes * entries, SEEK_CUR)
    return start, order + link


def _empty(stream: IO[bytes], group: int | None = None) -> ImageFileDirectory_v2:
    stream.seek(0)
    head = stream.read(16)
    return ImageFileDirectory_v2(head if head[2:3] == b"+" else head[:8], group=group)
