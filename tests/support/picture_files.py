"""Picture files made by hand or by tifffile, which shares no code with what reads them."""

import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

Chunk = tuple[bytes, bytes]

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
HEIF = b"\0\0\0\x14ftypmif1\0\0\0\0mif1" + bytes(100)
JPEG_XL = b"\xff\x0a" + bytes(100)
JPEG_XL_BOXES = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl " + bytes(100)
"""Heads of files with nothing behind them."""


def noise(channels: int, dtype: str = "uint16") -> np.ndarray:
    """Random pixels whose steps are finer than 8 bits; 6 high, 8 wide."""
    shape = (6, 8) if channels == 1 else (6, 8, channels)
    generator = np.random.default_rng(channels)
    if dtype[0] == "f":
        return generator.random(shape).astype(dtype)
    return generator.integers(0, 65536, shape, dtype=np.uint16).astype(dtype)


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    """A TIFF as tifffile writes it."""
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, **options)
    return out.getvalue()


def png(pixels: np.ndarray, chunks: Iterable[Chunk] = (), bits: int | None = None) -> bytes:
    """A PNG of 8 or 16 bits; or of fewer, grey, whose values are those of the file."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    if bits is None:
        bits = 8 * pixels.dtype.itemsize
        rows = [row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels]
    else:
        unpacked = np.unpackbits(pixels.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :]
        rows = [np.packbits(row.ravel()).tobytes() for row in unpacked]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def twelve_bit_tiff(grey: np.ndarray) -> bytes:
    """A TIFF of packed 12-bit grey; its width is even."""
    height, width = grey.shape
    bits = np.unpackbits(grey.astype(">u2").view(np.uint8).reshape(height, width, 2), axis=2)
    data = np.packbits(bits[:, :, 4:].reshape(height, -1), axis=1).tobytes()
    return tiff_of_tags(data, {256: width, 257: height, 258: 12, 259: 1, 262: 1, 277: 1, 278: height})


def subsampled_tiff(light: np.ndarray, colour: np.ndarray) -> bytes:
    """An uncompressed TIFF of YCbCr: (H, 2W) of Y, and (H, W, 2) of Cb and Cr."""
    height, width = light.shape
    data = np.concatenate([light.reshape(height, -1, 2), colour], axis=2).astype(np.uint8).tobytes()
    subsampling = 2 | 1 << 16  # two shorts in the place of a value
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 6, 277: 3, 278: height, 530: subsampling}
    return tiff_of_tags(data, tags)


def tiff_of_tags(data: bytes, tags: dict[int, int]) -> bytes:
    """A TIFF of one strip, and of tags of one number each."""
    entries = [
        struct.pack("<HHII", tag, 3 if tag == 530 else 4, 2 if tag == 530 else 1, value)
        for tag, value in sorted((tags | {273: 8, 279: len(data)}).items())
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def paint_scene(seed: int, height: int = 32, width: int = 40) -> np.ndarray:
    """Smooth random colors: each seed another picture, any size of a seed the same picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def save_scene(path: Path, seed: int, height: int = 32, width: int = 40) -> Path:
    """Write such a picture, creating folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint_scene(seed, height, width)).save(path)
    return path
