"""Read HEIC, the format of phones, by pillow-heif, where that package is installed (the extra ``heif``)."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from zoo.errors import ImageError
from zoo.pictures.libvips import vips_errors
from zoo.pictures.profiles import profile_of

SUFFIXES = frozenset({".heic", ".heif", ".hif"})
"""Usual suffixes of such files, in lower case."""

_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_HDR = (16, 18)
"""Transfer characteristics of PQ and HLG."""


def open_heif(content: Path | bytes, page: int = 0) -> tuple[Any, str, int, partial[Any]]:
    """Read the header of a HEIC.

    Pages are its pictures, the primary one first; previews, depth and gain maps are none. The rotation that
    the file asks for is applied by libheif, in the header too.

    Returns:
        An image of libvips that is blank and has the metadata, a label, the white of its integers, and what
        decodes the picture as such an image.

    Raises:
        ImageError: the package is not installed, or the picture is of a kind that is not supported.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            'expected the package pillow-heif for this HEIC, found none; pip install "tunable-zoo[heif]", or '
            "convert it to PNG or JPEG, by heif-convert of libheif for instance"
        ) from error
    source = BytesIO(content) if isinstance(content, bytes) else str(content)
    file: Any = pillow_heif.open_heif(source, convert_hdr_to_8bit=False)
    others = [number for number in range(len(file)) if number != file.primary_index]
    frame = file[[file.primary_index, *others][page]]
    bits = int(frame.info["bit_depth"])
    label, mode = f"a HEIC of {bits} bits", frame.mode.partition(";")[0].replace("I", "L")
    nclx = frame.info.get("nclx_profile") or {}
    if mode not in _CHANNELS or nclx.get("transfer_characteristics") in _HDR:
        reason = f"of mode {frame.mode}" if mode not in _CHANNELS else "in HDR (PQ or HLG)"
        raise ImageError(f"{label}, {reason}, which is not supported; convert it to 8 bits of sRGB first")
    (width, height), channels = frame.size, _CHANNELS[mode]
    with vips_errors(label):
        blank = pyvips.Image.black(width, height, bands=channels).cast("uchar" if bits == 8 else "ushort")
        space = ("b-w", "srgb") if bits == 8 else ("grey16", "rgb16")
        header = blank.copy(interpretation=space[channels > 2])
        header.set_type(pyvips.GValue.gint_type, "n-pages", len(file))
        for name, block in (("exif-data", frame.info.get("exif")), ("xmp-data", frame.info.get("xmp"))):
            if block:
                header.set_type(pyvips.GValue.blob_type, name, block)
    white = 65535 if bits == 8 else (2**bits - 1) << (16 - bits)  # they stand in the upper bits of 16
    profile = frame.info.get("icc_profile") or _make_profile(nclx, channels)
    return header, label, white, partial(_decode_frame, frame, space[channels > 2], profile)


def _make_profile(nclx: dict[str, Any], channels: int) -> bytes | None:
    """The ICC profile of colors that are stated by numbers, as in the chunk cICP of a PNG."""
    numbers = bytes([int(nclx.get(key, 2)) % 256 for key in ("color_primaries", "transfer_characteristics")])
    return profile_of({b"cICP": numbers + b"\0\1"} if nclx else {}, channels < 3)


def _decode_frame(frame: Any, space: str, profile: bytes | None) -> Any:
    pixels = np.asarray(frame)[:, : frame.size[0]]
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(interpretation=space)
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image
