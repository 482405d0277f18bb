"""Read and write metadata of picture files: EXIF, XMP, IPTC, resolution, color chunks."""

import logging
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from typing import IO, Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from zoo.errors import ImageError
from zoo.pictures import tiff

PNG = b"\x89PNG\r\n\x1a\n"
XMP_TAG, IPTC_TAG, DPI_TAGS = 700, 33723, (282, 283, 296)

_EXIF, _GPS, _COLOUR_SPACE, _INTEROP = 34665, 34853, 40961, 40965
_SOFTWARE = 305
_SIDES = (40962, 40963)
"""PixelXDimension and PixelYDimension."""
_TAGS = (270, 271, 272, *DPI_TAGS, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095)
"""Of a first directory, what describes the picture: neither how it is stored, nor its orientation."""
_SEGMENT_BYTES = 65000
"""What a block of a JPEG may have, with room for its name."""
_XMP_KEYWORD = b"XML:com.adobe.xmp"
KEPT_CHUNKS = (b"sRGB", b"cICP")
_NAMES = {"exif": "EXIF", "xmp": "XMP", "extra": "IPTC"}
_log = logging.getLogger(__name__)

_HDR = (b"\x10", b"\x12")
_SRGB, _UNSPECIFIED = struct.pack(">HH", 1, 13), struct.pack(">HH", 2, 2)
"""Colour primaries and transfer characteristics of an AVIF."""
_BOX_BYTES = 4096
"""Behind the start of an AVIF, where its colours are stated."""
_COLOUR_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP")


@dataclass(frozen=True)
class Metadata:
    """Blocks as formats exchange them; empty where there is none.

    Attributes:
        exif: with its leading ``Exif``; upright, without thumbnail.
        xmp: a packet of XML.
        iptc: records of IPTC-IIM.
        dpi: pixels per inch, across and down.
        chunks: of PNG, about colours, that no profile stands for: sRGB and cICP.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    dpi: tuple[float, float] | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def is_adobe_rgb(self) -> bool:
        """Whether the EXIF states Adobe RGB, as some cameras do instead of embedding a profile."""
        with suppress(Exception):
            tags = _parse_exif(self.exif[6:])
            uncalibrated = tags[_EXIF].get(_COLOUR_SPACE) == 0xFFFF
            return uncalibrated and str(tags[_EXIF][_INTEROP].get(1, "")).startswith("R03")
        return False

    @property
    def is_hdr(self) -> bool:
        """Whether the file states PQ or HLG."""
        return is_hdr(dict(self.chunks))

    def stripped(self) -> "Metadata":
        """A copy with the color chunks alone."""
        return Metadata(chunks=self.chunks)

    def naming(self, software: str) -> "Metadata":
        """A copy whose EXIF names the software that made the picture, as editors note themselves."""
        tags: dict[int, Any] = {}
        with suppress(Exception):
            tags = _parse_exif(self.exif[6:])
        return replace(self, exif=_encode_exif(tags | {_SOFTWARE: software}))

    def of_converted(self) -> "Metadata":
        """A copy for a picture in another color space, without statements about colors."""
        with suppress(Exception):
            tags = _parse_exif(self.exif[6:])
            inner = {tag: value for tag, value in tags[_EXIF].items() if tag not in (_COLOUR_SPACE, _INTEROP)}
            return replace(self, exif=_encode_exif(tags | {_EXIF: inner}), chunks=())
        return replace(self, chunks=())

    def sized(self, size: tuple[int, int]) -> "Metadata":
        """A copy for a picture of another size, where it states one."""
        with suppress(Exception):
            tags = _parse_exif(self.exif[6:])
            inner = tags[_EXIF]
            if _SIDES[0] in inner:
                inner |= dict(zip(_SIDES, size, strict=True))
                return replace(self, exif=_encode_exif(tags | {_EXIF: inner}))
        return self


def of_blocks(
    exif: bytes = b"",
    xmp: bytes = b"",
    iptc: bytes = b"",
    dpi: tuple[float, float] | None = None,
) -> Metadata:
    """Metadata from the blocks of a file, without unreadable ones."""
    tags: dict[int, Any] = {}
    with suppress(Exception):
        tags = _parse_exif(exif.removeprefix(b"Exif\0\0"))
    return _of_tags(tags, xmp, iptc, dpi)


def _of_tags(
    tags: dict[int, Any], xmp: bytes, iptc: bytes, dpi: tuple[float, float] | None = None
) -> Metadata:
    upright = re.sub(rb"""(tiff:Orientation(?:=["']|>))[2-8]""", rb"\g<1>1", xmp)
    return Metadata(_encode_exif(tags), upright, iptc, _plausible_dpi(dpi or _read_resolution(tags)))


def of_tiff(stream: IO[bytes], page: int = 0) -> Metadata:
    """Metadata of a page of a TIFF."""
    with suppress(Exception):
        tags = tiff.read_directory(stream, page)
        xmp, iptc = _as_bytes(tags.get(XMP_TAG)), _as_bytes(tags.get(IPTC_TAG))
        described: dict[int, Any] = {}
        with suppress(Exception):
            described = _select_tags(stream, tags)
        return _of_tags(described, xmp, iptc)
    return Metadata()


def of_image(info: Mapping[Any, Any]) -> Metadata:
    """Metadata in the ``info`` of an image that Pillow has read."""
    resources = info.get("photoshop")
    iptc = resources.get(0x0404, b"") if isinstance(resources, dict) else b""
    return of_blocks(info.get("exif") or b"", _as_bytes(info.get("xmp")), iptc, info.get("dpi"))


def chunks_of(stream: IO[bytes]) -> dict[bytes, bytes]:
    """Read the chunks of a PNG about colors, resolution and animation, by name.

    Code points of an AVIF, if not sRGB, count as a chunk cICP; other files have no chunks.
    """
    found: dict[bytes, bytes] = {}
    stream.seek(0)
    start = stream.read(len(PNG))
    if start[4:] == b"ftyp":
        _, box, points = stream.read(_BOX_BYTES).partition(b"colrnclx")
        says_more = box and points[:4] not in (_UNSPECIFIED, _SRGB)
        return {b"cICP": points[1:2] + points[3:4] + b"\0\1"} if says_more else {}
    if start != PNG:
        return found
    while len(head := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            break
        if name in (*_COLOUR_CHUNKS, b"pHYs", b"acTL") and length <= 32:
            found[name] = stream.read(length)
            length = 0
        stream.seek(length + 4, 1)
    return found


def is_hdr(chunks: Mapping[bytes, bytes]) -> bool:
    """Whether cICP among these chunks states PQ or HLG, which no profile can describe."""
    return chunks.get(b"cICP", b"")[1:2] in _HDR


def dpi_of(chunks: Mapping[bytes, bytes]) -> tuple[float, float] | None:
    """Pixels per inch of the chunk pHYs, if its unit is the meter."""
    data = chunks.get(b"pHYs", b"")
    if len(data) != 9 or data[8] != 1:
        return None
    across, down = struct.unpack(">II", data[:8])
    return across * 0.0254, down * 0.0254


def into_png(data: bytes, metadata: Metadata, *, has_profile: bool) -> bytes:
    """Insert chunks for the metadata into a PNG."""
    chunks = [chunk for chunk in metadata.chunks if not (has_profile and chunk[0] == b"sRGB")]
    if metadata.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in metadata.dpi), 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif[6:]))
    if metadata.xmp:
        chunks.append((b"iTXt", _XMP_KEYWORD + bytes(5) + metadata.xmp))
    start = len(PNG) + 25  # behind IHDR, which comes first and is of one size
    invented = data.find(b"pHYs", start, data.find(b"IDAT")) - 4  # libvips writes 25.4 dpi for none
    if invented > 0:
        data = data[:invented] + data[invented + 21 :]
    return data[:start] + b"".join(_png_chunk(*chunk) for chunk in chunks) + data[start:]


def into_tiff(pages: Iterable[tuple[bytes, Metadata]]) -> bytes:
    """Join TIFFs of one page, in strips, into one file with their metadata.

    Raises:
        ImageError: they are more than a TIFF holds.
    """
    pages = list(pages)
    if len(pages) == 1 and pages[0][1] == Metadata() and 282 not in tiff.read_directory(BytesIO(pages[0][0])):
        return pages[0][0]
    out, link = bytearray(pages[0][0][:8]), 4
    order = "<" if out[:2] == b"II" else ">"
    for data, metadata in pages:
        start = len(out)
        if start + len(data) >= 2**32:
            raise ImageError("TIFF holds 4 GB, got more; choose another format, or fewer pages")
        # Pillow moves the offsets of strips behind the directory that it makes, where the whole file then is.
        directory = _add_tags(data, metadata).tobytes(start)
        out[link : link + 4] = struct.pack(f"{order}I", start)
        link = start + 2 + 12 * struct.unpack(f"{order}H", directory[:2])[0]
        out += directory + data + bytes(len(data) % 2)
    return bytes(out)


def _add_tags(data: bytes, metadata: Metadata) -> ImageFileDirectory_v2:
    """Add the metadata to the directory of a TIFF."""
    tags = tiff.read_directory(BytesIO(data))
    for tag in DPI_TAGS:  # libvips writes 25.4 dpi for none
        tags.pop(tag, None)
    for tag in [*tags]:
        tags[tag] = tags[tag]  # Pillow writes those alone that were looked at
    for tag, value in (_parse_exif(metadata.exif[6:]) if metadata.exif else {}).items():
        tags[tag] = value
    for tag, block in ((XMP_TAG, metadata.xmp), (IPTC_TAG, metadata.iptc)):
        if block:
            tags.tagtype[tag] = 1
            tags[tag] = block
    if metadata.dpi:
        tags[282], tags[283], tags[296] = *metadata.dpi, 2
    return tags


def jpeg_options(metadata: Metadata) -> dict[str, Any]:
    """Options of Pillow's JPEG writer; logs a warning for blocks longer than a segment."""
    iptc = b""
    if metadata.iptc:
        block = metadata.iptc + bytes(len(metadata.iptc) % 2)
        iptc = b"Photoshop 3.0\x008BIM" + struct.pack(">H2xI", 0x0404, len(metadata.iptc)) + block
    options: dict[str, Any] = {"exif": metadata.exif, "xmp": metadata.xmp, "extra": iptc}
    for name, block in [*options.items()]:
        if len(block) >= _SEGMENT_BYTES:
            _log.warning("%s of %d bytes is left out: JPEG holds less", _NAMES[name], len(block))
        if not 0 < len(block) < _SEGMENT_BYTES:
            del options[name]
    if "extra" in options:
        options["extra"] = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    return options | ({"dpi": metadata.dpi} if metadata.dpi else {})


def webp_options(metadata: Metadata) -> dict[str, Any]:
    """Options of Pillow's WebP writer; the resolution is part of the EXIF there."""
    exif = metadata.exif
    if metadata.dpi:
        resolution = dict(zip(DPI_TAGS, (*metadata.dpi, 2), strict=True))
        exif = _encode_exif((_parse_exif(exif[6:]) if exif else {}) | resolution)
    return {name: block for name, block in {"exif": exif, "xmp": metadata.xmp}.items() if block}


def _parse_exif(data: bytes) -> dict[int, Any]:
    stream = BytesIO(data)
    return _select_tags(stream, tiff.read_directory(stream))


def _select_tags(stream: IO[bytes], first: ImageFileDirectory_v2) -> dict[int, Any]:
    """Select the tags that describe the picture; sub-directories as dicts."""
    tags: dict[int, Any] = {tag: first[tag] for tag in _TAGS if tag in first}
    for tag in (_EXIF, _GPS):
        if isinstance(first.get(tag), int):
            tags[tag] = _read_subdirectory(stream, tag, first[tag])
    if isinstance(inner := tags.get(_EXIF, {}).get(_INTEROP), int):
        tags[_EXIF][_INTEROP] = _read_subdirectory(stream, _INTEROP, inner)
    return tags


def _read_subdirectory(stream: IO[bytes], group: int, offset: int) -> dict[int, Any]:
    directory, tags = tiff.read_subdirectory(stream, group, offset), dict[int, Any]()
    for tag in directory:
        with suppress(Exception):  # one that is broken
            tags[tag] = directory[tag]
    return tags


def _encode_exif(tags: Mapping[int, Any]) -> bytes:
    """Encode an EXIF block, without tags whose values are of a wrong type; empty without tags."""
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    try:
        return exif.tobytes() if tags else b""
    except Exception:  # Pillow raises almost anything
        kept = {tag: value for tag, value in tags.items() if len(tags) > 1 and _encode_exif({tag: value})}
    return _encode_exif(kept) if len(kept) < len(tags) else b""


def _read_resolution(tags: Mapping[int, Any]) -> tuple[Any, Any] | None:
    with suppress(TypeError):  # text instead of numbers
        unit = {2: 1.0, 3: 2.54}.get(tags.get(296, 2))
        return (tags[282] * unit, tags[283] * unit) if unit and 282 in tags and 283 in tags else None
    return None


def _plausible_dpi(dpi: tuple[Any, Any] | None) -> tuple[float, float] | None:
    """The resolution, if plausible: some programs write 0 or 1 for none."""
    with suppress(TypeError, ValueError, ZeroDivisionError):
        across, down = map(float, dpi or ())
        return (across, down) if 1 < across < 1e6 and 1 < down < 1e6 else None
    return None


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes(value) if isinstance(value, tuple) else b""
