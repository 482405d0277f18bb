"""Read files of more than 8 bits a channel, which Pillow would reduce to 8, with libvips; and HEIC.

Pillow decodes all others, so that ordinary files stay what they are to the bit, and so does its choice of
formats: the wheel of libvips has neither BMP nor PPM, and knows fewer compressions of TIFF.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import IO, Any

import pyvips
from PIL import Image, UnidentifiedImageError

from zoo.errors import ImageError
from zoo.pictures import avif, tiff
from zoo.pictures.by_pillow import foreign_format_error
from zoo.pictures.heif import open_heif
from zoo.pictures.libvips import get_field, rgb_of_cmyk, vips_errors
from zoo.pictures.metadata import PNG, chunks_of
from zoo.pictures.picture import FLOAT, Kind, Picture
from zoo.pictures.planes import sixteen_bit

HEAD_BYTES = 4096
"""Bytes that distinguish a deep file from others."""

_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM = re.compile(rb"P([36])" + (_GAP + rb"(\d+)") * 3 + rb"\s")
_PLAIN = (0, 1, 2)
"""Photometric interpretations of a TIFF that are grey and RGB."""
_SPACES = {
    0: "negative",
    3: "a palette",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
    9: "Lab",
    32803: "a sensor's pattern",
}
_SAMPLES = {1: "integer", 2: "signed integer", 3: "float", 5: "complex integer", 6: "complex"}
_ALPHA = (1, 2)
"""ExtraSamples of a TIFF that are transparency."""
_OF_PILLOW = (34925, 50000)
"""LZMA and Zstandard: compressions that Pillow's wheel knows, and that of libvips does not."""
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
"""How a bare codestream begins, and one in a container."""
_MOST_EXTRA = 4
"""Channels after the colours; a file of thousands would need memory by no limit of pixels."""


@dataclass(frozen=True, eq=False)
class Deep:
    """A deep file whose header is read.

    Attributes:
        source: decodes when it is asked for pixels.
        label: such as ``a TIFF of 3 x 16-bit integer``.
        white: of its integers.
        extra: whether the channel after the colours is transparency; others are left out.
        load: what decodes instead, where the source is of the header alone.
    """

    source: Any
    label: str
    white: int = 65535
    extra: bool = True
    load: Callable[[], Any] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, before the orientation is applied."""
        return self.source.width, self.source.height

    @property
    def kind(self) -> Kind:
        """Kind of the decoded picture.

        Raises:
            ImageError: the kind is not supported.
        """
        held, colours = self.source.format, self._colours
        extra = self.source.bands - colours
        is_picture = 0 <= extra <= _MOST_EXTRA
        whole = held == "ushort" or (held in ("uint", "int") and self.source.bands == 1)
        bits = 8 if held == "uchar" else FLOAT if held == "float" else 16 if whole or self._is_lab else None
        if bits is None or not is_picture:
            raise unsupported_error(self.label)
        has_alpha = self.extra and extra > 0 and colours < 4
        return Kind((1 if colours == 1 else 3) + has_alpha, bits)

    def picture(self) -> Picture:
        """Decode the picture, upright; CMYK and Lab as RGB.

        Raises:
            ImageError: it is damaged or not supported.
        """
        kind = self.kind
        with vips_errors(self.label):
            image = (self.load() if self.load else self.source).autorot()
            if image.interpretation == "cmyk":
                return Picture(rgb_of_cmyk(image.extract_band(0, n=4)))
            image = image.extract_band(0, n=kind.channels)
            if self._is_lab:
                return Picture(image.icc_export(output_profile="srgb", depth=16).numpy())
            if self.white != 65535:
                image = image.linear(65535 / self.white, 0).rint().cast("ushort")
            pixels = image.numpy()
        if kind.bits == 16:
            pixels = sixteen_bit(pixels)
        return Picture(pixels, get_field(image, "icc-profile-data"))

    @property
    def is_converted(self) -> bool:
        """Whether decoding converts the color space."""
        return self._is_lab or bool(self.source.interpretation == "cmyk")

    def block(self, name: str) -> bytes:
        """The EXIF or XMP block of the file; empty if there is none."""
        return get_field(self.source, f"{name}-data") or b""

    @property
    def frames(self) -> int:
        """Number of pictures of an AVIF, or of directories of a TIFF."""
        return int(get_field(self.source, "n-pages") or 1)

    @property
    def _is_lab(self) -> bool:
        return bool(self.source.interpretation == "labs")

    @property
    def _colours(self) -> int:
        space = self.source.interpretation
        if space in ("b-w", "grey16") or self.source.bands < 3:
            return 1
        return 4 if space == "cmyk" else 3


def open_deep(content: Path | bytes, page: int = 0) -> Deep | None:
    """Open a file that Pillow would read with less depth, or not at all; None for all others.

    Args:
        content: of the file.
        page: of a TIFF, or frame of an animation.

    Raises:
        ImageError: a file that neither Pillow nor libvips reads in full, or of a format that is not read.
    """
    with stream_of(content) as stream:
        head, chunks = stream.read(HEAD_BYTES), chunks_of(stream)
    if head.startswith(PNG):
        if head[24:25] != b"\x10":
            return None
        if b"acTL" in chunks:  # libvips reads the first frame alone
            raise unsupported_error("an animated PNG of 16 bits")
        return _open_vips(content, "a PNG of 16 bits")
    if head.startswith(tiff.MAGIC):
        return _open_tiff(content, head, page)
    if avif.read_brands(head) & avif.AVIF:
        return _open_avif(content, head, page)
    if avif.read_brands(head) & avif.HEIC:
        source, label, white, load = open_heif(content, page)
        return Deep(source, label, white, load=load)
    if head.startswith(_JPEG_XL):
        raise foreign_format_error("JPEG XL", "djxl of libjxl")
    if (match := _PPM.match(head)) and int(match[4]) > 255:
        return _open_ppm(content, match)
    return None


def unsupported_error(label: str) -> ImageError:
    """Error for a kind of file that is not supported."""
    return ImageError(
        f"{label}, which is not supported; convert it to grey or RGB of 8 or 16 bits or of 32-bit float"
    )


@contextmanager
def stream_of(content: Path | bytes) -> Iterator[IO[bytes]]:
    """Open a file, or its bytes, as a binary stream."""
    with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        yield stream


def _open_tiff(content: Path | bytes, head: bytes, page: int) -> Deep | None:
    tags = None
    if not head.startswith(tiff.UNKNOWN):
        with stream_of(content) as stream:
            tags = tiff.read_directory(stream, page)
    bits, channels = max(tiff.tag_values(tags, 258, 1)), tiff.tag_values(tags, 277, 1)[0]
    space, sample = tiff.tag_values(tags, 262, 1)[0], tiff.tag_values(tags, 339, 1)[0]
    planar = channels > 1 and tiff.tag_values(tags, 284, 1)[0] == 2
    plain = space in _PLAIN and (space, sample) != (0, 3)  # libvips leaves negatives of floats as they are
    label = (
        f"a {'planar ' * planar}TIFF of {channels} x {bits}-bit {_SAMPLES.get(sample, 'data')}"
        f"{'' if plain else f' in {_SPACES.get(space, space)}'}"
    )
    if planar and space in (0, 1, 8):  # grey with alpha, and Lab: rows come out mixed up, of Pillow as well
        raise unsupported_error(label)
    compression = tiff.tag_values(tags, 259, 1)[0]
    if compression in _OF_PILLOW and (channels, space) == (1, 1) and (bits, sample) in ((16, 1), (32, 3)):
        return None
    try:
        deep = _open_vips(
            content, label, page, extra=tags is None or tiff.tag_values(tags, 338, 0)[0] in _ALPHA
        )
    except ImageError:
        # Old-style JPEG or 12-bit grey; but what Pillow would round is not for it.
        if bits in (16, 32) and sample in (1, 3) and plain:
            raise
        if tags and ((bits > 8 and (bits, channels) != (12, 1)) or not _pillow_opens(content, page)):
            raise unsupported_error(label) from None
        return None
    if deep.source.format == "uchar" and tags:
        is_misread = tiff.is_misread(tags)
        if not is_misread and _pillow_opens(content, page):
            return None
        plain = plain or (is_misread and (space, bits) == (6, 8))
    if not plain and (space not in (5, 8) or (bits, sample) != (16, 1)):
        raise unsupported_error(label)
    return deep


def _open_avif(content: Path | bytes, head: bytes, page: int) -> Deep | None:
    stated = avif.stated_bits(head)
    if stated > 8 and b"avis" in avif.read_brands(head):  # libvips reads no sequences
        raise unsupported_error(f"an animated AVIF of {stated} bits")
    try:
        deep = _open_vips(content, "an AVIF", page)
    except ImageError:
        if stated > 8:  # which Pillow would round
            raise
        return None
    bits = get_field(deep.source, "bits-per-sample") or 8
    if bits == 8:
        return None
    if avif.is_limited_grey(head):  # libvips leaves black at 16 of 255, and white at 235
        raise unsupported_error(f"a grey AVIF of {bits} bits that is not said to be of full range")
    # Its integers stand in the upper bits of 16.
    return Deep(deep.source, f"an AVIF of {bits} bits", white=(2**bits - 1) << (16 - bits))


def _open_ppm(content: Path | bytes, header: re.Match[bytes]) -> Deep:
    width, height, white = (int(header[group]) for group in (2, 3, 4))
    label = f"a PPM of values up to {white}"
    if header[1] == b"3" or white > 65535:
        raise ImageError(f"{label} in letters, which is not supported; convert it to PNG or binary PPM")
    start, expected = header.end(), width * height * 6
    with stream_of(content) as stream:
        got = stream.seek(0, SEEK_END) - start
    if got < expected:
        raise ImageError(f"expected {expected} bytes of pixels, got {got}; {label} cut short")

    def load() -> Any:
        with stream_of(content) as stream:
            stream.seek(start)
            data = stream.read(expected)
        swapped = pyvips.Image.new_from_memory(data, width, height, 3, "ushort")
        return swapped.copy(interpretation="rgb16").byteswap()

    with vips_errors(label):
        blank = pyvips.Image.black(width, height, bands=3).cast("ushort").copy(interpretation="rgb16")
    return Deep(blank, label, white, load=load)


def _open_vips(content: Path | bytes, label: str, page: int = 0, *, extra: bool = True) -> Deep:
    with vips_errors(label):
        made = pyvips.Source.new_from_memory if isinstance(content, bytes) else pyvips.Source.new_from_file
        # By a source, because libvips takes brackets at the end of a path for options.
        source = made(content if isinstance(content, bytes) else str(content))
        chosen = {"page": page} if page else {}
        image = pyvips.Image.new_from_source(source, "", fail_on="error", **chosen)
        return Deep(image, label, extra=extra)


def _pillow_opens(content: Path | bytes, page: int) -> bool:
    with stream_of(content) as stream:
        try:
            with Image.open(tiff.beginning_at(stream, page), formats=("TIFF",)):
                pass
        except UnidentifiedImageError:
            return False
    return True
