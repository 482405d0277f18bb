"""Make ICC profiles for colors that a file states in other ways: chunks of a PNG, tags of EXIF."""

import struct

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Curve = float | tuple[float, ...]
"""An exponent, or the five numbers of ICC's curve with a straight beginning."""

D65 = (0.3127, 0.3290)
SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
ADOBE_PRIMARIES = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_GAMMA = 563 / 256

_CICP_PRIMARIES = {
    1: SRGB_PRIMARIES,
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CICP_CURVES: dict[int, Curve] = {1: _BT709_CURVE, 4: 2.2, 5: 2.8, 6: _BT709_CURVE, 8: 1.0, 13: SRGB_CURVE,
                                  14: _BT709_CURVE, 15: _BT709_CURVE}  # fmt: skip
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile_of(chunks: dict[bytes, bytes], grey: bool) -> bytes | None:
    """Make the profile for cICP, gAMA and cHRM of a PNG; None if they state sRGB, or nothing.

    Args:
        chunks: by name; broken ones are ignored.
        grey: whether the picture is gray.
    """
    primaries: tuple[float, ...] = SRGB_PRIMARIES
    white: tuple[float, ...] = D65
    curve: Curve | None = None
    cicp = chunks.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[0] in _CICP_PRIMARIES and cicp[1] in _CICP_CURVES:
        primaries, curve = _CICP_PRIMARIES[cicp[0]], _CICP_CURVES[cicp[1]]
    elif cicp or b"sRGB" in chunks:
        return None
    else:
        gamma, corners = (
            _read_fractions(chunks.get(b"gAMA", b""), 1),
            _read_fractions(chunks.get(b"cHRM", b""), 8),
        )
        if gamma:
            curve = 1 / gamma[0]
        if corners:
            white, primaries = corners[:2], corners[2:]
            curve = curve or SRGB_CURVE
        # What most programs write for sRGB.
        near = np.allclose((*white, *primaries), (*D65, *SRGB_PRIMARIES), atol=0.002)
        if near and isinstance(curve, float) and abs(curve - 2.2) < 0.01:
            return None
    if curve is None or (curve == SRGB_CURVE and primaries == SRGB_PRIMARIES):
        return None
    return make_profile(curve, None if grey else primaries, white)


def make_profile(
    curve: Curve, primaries: tuple[float, ...] | None, white: tuple[float, ...] = D65
) -> bytes | None:
    """Make a profile of version 4; None if the chromaticities are impossible.

    Args:
        curve: from values to light.
        primaries: x and y of red, green and blue; None for grey.
        white: x and y.
    """
    text = _encode_text("RGB" if primaries else "Grey")
    tags = {b"desc": text, b"cprt": _encode_text("No copyright"), b"wtpt": _encode_xyz(_D50)}
    if primaries is None:
        tags[b"kTRC"] = _encode_curve(curve)
    else:
        try:
            columns, adapted = _adapt_primaries(np.reshape(primaries, (3, 2)), np.asarray(white))
        except (np.linalg.LinAlgError, FloatingPointError):
            return None
        tags[b"chad"] = b"sf32\0\0\0\0" + _encode_fixed(adapted.ravel())
        for channel, column in zip("rgb", columns.T, strict=True):
            tags[f"{channel}XYZ".encode()] = _encode_xyz(column)
            tags[f"{channel}TRC".encode()] = _encode_curve(curve)
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    space = b"GRAY" if primaries is None else b"RGB "
    head = struct.pack(">I4sI4s4s4s12x4s28xI", start + len(data), b"\0\0\0\0", 0x04300000, b"mntr", space,
                       b"XYZ ", b"acsp", 0)  # fmt: skip
    return (head + _encode_fixed(_D50)).ljust(128, b"\0") + table + data


def _adapt_primaries(primaries: Matrix, white: Matrix) -> tuple[Matrix, Matrix]:
    """XYZ columns of red, green and blue under D50, and the matrix of that adaptation."""
    with np.errstate(all="raise"):
        corners = np.array([_xyz_of(point) for point in primaries]).T
        light = _xyz_of(white)
        columns = corners * np.linalg.solve(corners, light)
        adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ light)) @ _BRADFORD
        return adapted @ columns, adapted


def _xyz_of(point: Matrix) -> Matrix:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _read_fractions(data: bytes, count: int) -> tuple[float, ...]:
    """Decode numbers in units of 1/100000; empty if they are invalid."""
    if len(data) != 4 * count:
        return ()
    values = tuple(value / 100000 for value in struct.unpack(f">{count}I", data))
    return values if all(0 < value < 10 for value in values) else ()


def _encode_curve(curve: Curve) -> bytes:
    numbers = (curve,) if isinstance(curve, float) else curve
    kind = 0 if len(numbers) == 1 else 3
    return struct.pack(">4s4xHH", b"para", kind, 0) + _encode_fixed(np.array(numbers))


def _encode_xyz(values: Matrix) -> bytes:
    return b"XYZ \0\0\0\0" + _encode_fixed(values)


def _encode_fixed(values: Matrix) -> bytes:
    return np.rint(values * 65536).astype(">i4").tobytes()


def _encode_text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(data), 28) + data
