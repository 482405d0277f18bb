"""What the first bytes of a picture file declare: format, bits of a channel, whether it is lossy."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

CLAIMED = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PNM", "TIFF", "WebP")
"""Formats that ``zoo.read_picture`` says it reads."""
FLOAT = 32

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"8BPS": "PSD",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"#?RADIANCE": "HDR",
    b"#?RGBE": "HDR",
    b"\x76\x2f\x31\x01": "EXR",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
}
_PNM = re.compile(rb"P[1-6]\s")
_NUMBERS = re.compile(rb"#[^\n]*\n|(\d+)")
_LOSSY_TIFF = (6, 7, 34892, 50001)
"""Compressions of a TIFF: JPEG, old and new, lossy DNG, WebP."""


@dataclass(frozen=True)
class Declared:
    """What a file says of itself.

    Attributes:
        form: name of the format; by the file's suffix where its content says none.
        bits: of the deepest channel of the first picture; ``FLOAT`` for floating point, 8 where unknown.
        white: of integers that do not fill their bits; 0 where they do.
        is_lossy: whether decoders may differ by rounding.
    """

    form: str
    bits: int = 8
    white: int = 0
    is_lossy: bool = False

    @property
    def is_claimed(self) -> bool:
        """Whether ``zoo.read_picture`` says that it reads this format."""
        return self.form in CLAIMED


def read_declared(path: Path) -> Declared:
    """What a file declares; never fails, because the file may be broken."""
    data = path.read_bytes()
    form = _form_of(data, path)
    try:
        if form == "PNG":
            return Declared(form, max(8, data[24]))
        if form == "JPEG":
            return Declared(form, _jpeg_bits(data), is_lossy=True)
        if form == "PNM":
            white = _pnm_white(data)
            return Declared(form, max(8, white.bit_length()), 0 if white in (1, 255, 65535) else white)
        if form == "AVIF":
            flags = data.partition(b"av1C")[2][2]
            bits = 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
            return Declared(form, bits, (1 << bits) - 1 if bits > 8 else 0, is_lossy=True)
        if form == "TIFF":
            return _declared_tiff(data)
    except (IndexError, OverflowError, struct.error, ValueError):
        pass
    return Declared(form, is_lossy=form == "WebP")


def _form_of(data: bytes, path: Path) -> str:
    for magic, form in _MAGIC.items():
        if data.startswith(magic):
            return form
    if data[4:8] == b"ftyp":
        return "AVIF" if re.search(rb"avi[fs]", data[8:64]) else "HEIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return "PNM" if _PNM.match(data) else path.suffix[1:].upper() or "none"


def _jpeg_bits(data: bytes) -> int:
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[position + 4]
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 8


def _pnm_white(data: bytes) -> int:
    numbers = [int(match[1]) for match in _NUMBERS.finditer(data[2:200]) if match[1]]
    return 1 if data[1:2] in b"14" else numbers[2]


def _declared_tiff(data: bytes) -> Declared:
    order, is_big = ("<" if data[:2] == b"II" else ">"), b"+" in data[:4]
    pointer, count_type, entry = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    (start,) = struct.unpack_from(order + pointer, data, 8 if is_big else 4)
    (count,) = struct.unpack_from(order + count_type, data, start)
    tags = dict[int, tuple[int, ...]]()
    for number in range(min(count, 500)):
        at = start + struct.calcsize(count_type) + entry * number
        tag, kind, length = struct.unpack_from(order + "HH" + pointer, data, at)
        if tag not in (258, 259, 339) or kind != 3 or length > 100:
            continue
        values = at + entry - struct.calcsize(pointer)
        if 2 * length > struct.calcsize(pointer):
            (values,) = struct.unpack_from(order + pointer, data, values)
        tags[tag] = struct.unpack_from(f"{order}{length}H", data, values)
    is_float = 3 in tags.get(339, (1,))
    bits = max(tags.get(258, (1,)))
    is_lossy = tags.get(259, (1,))[0] in _LOSSY_TIFF
    white = (1 << bits) - 1 if 8 < bits < 16 else 0
    return Declared("TIFF", FLOAT if is_float else max(8, bits), white, is_lossy)
