"""Read directories of TIFF files and EXIF blocks with Pillow's parser."""

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


def read_directory(stream: IO[bytes], page: int = 0) -> ImageFileDirectory_v2:
    """Read the tags of a page; values are parsed on access."""
    tags, (start, _) = _new_directory(stream), _find_link(stream, page)
    stream.seek(start)
    tags.load(stream)
    return tags


def beginning_at(stream: IO[bytes], page: int) -> IO[bytes]:
    """The file with this page as its first, because Pillow parses all pages before the one it opens."""
    start, form = _find_link(stream, page)
    stream.seek(0)
    head = stream.read(_LINK_AT[form])
    return BufferedReader(_Headed(stream, head + struct.pack(form, start)))


def read_subdirectory(stream: IO[bytes], group: int, offset: int) -> ImageFileDirectory_v2:
    """Read the directory that a tag points to."""
    tags = _new_directory(stream, group)
    stream.seek(offset)
    tags.load(stream)
    return tags


def find_pages(stream: IO[bytes]) -> dict[int, tuple[int, int]]:
    """Sizes of the directories that are pages, without thumbnails, lower resolutions and masks.

    If there are none, the first directory counts as a page of size (0, 0).
    """
    tags, found, seen = _new_directory(stream), dict[int, tuple[int, int]](), set[int]()
    while tags.next and tags.next not in seen and len(seen) < MOST_PAGES:
        seen.add(tags.next)
        stream.seek(tags.next)
        tags.load(stream)
        if not tag_values(tags, _SUBFILE, 0)[0] & (_REDUCED | _MASK):
            found[len(seen) - 1] = (tag_values(tags, _WIDTH, 0)[0], tag_values(tags, _HEIGHT, 0)[0])
    return found or {0: (0, 0)}


def tag_values(tags: ImageFileDirectory_v2 | None, tag: int, default: int) -> tuple[int, ...]:
    """Values of a tag, or the default."""
    value: Any = default if tags is None else tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def is_misread(tags: ImageFileDirectory_v2) -> bool:
    """Whether Pillow opens a page of 8 bits and then reads it wrongly, or not at all."""
    compression = tag_values(tags, 259, _RAW)[0]
    if compression != _RAW:
        return compression == _WEBP  # libtiff of Pillow's wheel is without it
    # Uncompressed data it unpacks by code of its own, which knows neither fewer samples of colour than of
    # light, nor tiles whose places stand where those of strips do.
    is_subsampled = tag_values(tags, 262, 0)[0] == _YCBCR and tag_values(tags, 530, 2) != (1, 1)
    return is_subsampled or (322 in tags and 273 in tags)


class _Headed(RawIOBase):
    """A file whose first bytes are replaced."""

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


def _find_link(stream: IO[bytes], page: int) -> tuple[int, str]:
    """Offset of the directory of a page, and its struct format; skips directories without parsing them."""
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


def _new_directory(stream: IO[bytes], group: int | None = None) -> ImageFileDirectory_v2:
    stream.seek(0)
    head = stream.read(16)
    return ImageFileDirectory_v2(head if head[2:3] == b"+" else head[:8], group=group)
