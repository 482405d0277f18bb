import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from picture_files import JPEG_XL, JPEG_XL_BOXES
from zoo.errors import ImageError, ImageTooLargeError
from zoo.pictures.images import (
    DEFAULT_MAX_PIXELS,
    read_header,
    read_image,
    read_pages,
    read_picture,
    rgb_array,
    upright,
)
from zoo.pictures.picture import Picture

ROTATED_90_CW = 6


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 6, height: int = 4) -> Image.Image:
    return Image.fromarray(np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def test_every_source_gives_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "misnamed.jpg"
    path.write_bytes(encode(gradient()))
    with path.open("rb") as file:
        for source in (path, str(path), path.read_bytes(), file):
            assert np.array_equal(np.asarray(read_image(source)), np.asarray(gradient()))
        assert not file.closed


@pytest.mark.parametrize("source", [None, gradient(), np.asarray(gradient()), ["photo.png"]])
def test_what_is_no_file_is_refused(source: Any) -> None:
    for read in (read_image, read_picture, read_pages):
        with pytest.raises(ImageError, match=type(source).__name__):
            read(source)


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_formats(kind: str) -> None:
    assert read_image(encode(gradient(), kind)).size == (6, 4)


def test_other_formats_are_refused() -> None:
    for data in (encode(gradient(), "PDF"), encode(gradient(), "ICO"), b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(ImageError, match="AVIF, BMP"):
            read_image(data)


@pytest.mark.parametrize(
    ("name", "tool", "data"),
    [
        ("JPEG XL", "djxl", JPEG_XL),
        ("JPEG XL", "djxl", JPEG_XL_BOXES),
    ],
)
def test_formats_that_are_known_are_refused_by_name(name: str, tool: str, data: bytes) -> None:
    told = f"{name}.*{tool}"
    for read in (read_image, read_picture, read_pages, read_header):
        with pytest.raises(ImageError, match=told):
            read(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_modes_are_kept(mode: str) -> None:
    assert read_image(encode(Image.new(mode, (3, 2)))).mode == mode


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_applied_once(kind: str) -> None:
    data = encode(gradient(), kind, exif=exif(ROTATED_90_CW))
    image = read_image(data)
    assert image.size == (4, 6)
    assert upright(image).size == (4, 6)
    assert 0x0112 not in image.getexif()
    opened = upright(Image.open(io.BytesIO(data)))
    assert opened.size == (4, 6)
    assert 0x0112 not in opened.getexif()


TURNS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "transposed": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "rotated": lambda image: image.rotate(-90, expand=True),
    "by its exif": ImageOps.exif_transpose,
    "turned twice": lambda image: image.rotate(-90, expand=True).rotate(180),
    "cropped": lambda image: image.crop((0, 0, 5, 2)),
    "resized": lambda image: image.resize((12, 3)),
    "copied": Image.Image.copy,
    "converted": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_what_was_made_of_an_opened_picture_stays_as_it_is(kind: str, turn: str) -> None:
    image = TURNS[turn](Image.open(io.BytesIO(encode(gradient(), kind, exif=exif(ROTATED_90_CW)))))
    assert upright(image).size == image.size
    assert upright(image).tobytes() == image.tobytes()


def test_the_first_frame_counts() -> None:
    frames = [Image.new("L", (4, 3), value) for value in (10, 200, 90)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        image = read_image(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
        assert image.convert("L").getpixel((0, 0)) == 10
        assert getattr(image, "n_frames", 1) == 1


def test_the_profile_is_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_image(encode(gradient(), icc_profile=profile)).info["icc_profile"] == profile


def test_a_large_picture_is_refused_from_its_header() -> None:
    side = int(DEFAULT_MAX_PIXELS**0.5) + 1
    with pytest.raises(ImageTooLargeError, match="64,000,000"):
        read_image(png_header(side, side))
    with pytest.raises(ImageTooLargeError, match=r"20 .*6 x 4 = 24"):
        read_image(encode(gradient()), max_pixels=20)


@pytest.mark.parametrize("side", [10_000, 20_000, 2**31 - 1])
def test_a_bomb_is_an_image_error_even_where_pillow_warns(side: int) -> None:
    with pytest.raises(ImageTooLargeError, match="pixels"):
        read_image(png_header(side, side))


@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000), (1, 1)])
def test_strips_and_dots_are_pictures(size: tuple[int, int]) -> None:
    assert read_image(encode(Image.new("RGB", size))).size == size


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_cut_short(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encode(noise, kind)
    with pytest.raises(ImageError, match="cannot read the image"):
        read_image(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"\0", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff\xd8\xff" + bytes(99)])
def test_no_picture_at_all(data: bytes) -> None:
    with pytest.raises(ImageError, match="cannot read the image"):
        read_image(data)


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["GIF", "JPEG", "PNG", "TIFF", "WEBP"]))
def test_damage_is_survived_or_named(position: int, value: int, kind: str) -> None:
    data = bytearray(encode(gradient(), kind))
    data[position % len(data)] = value
    with suppress(ImageError):
        read_image(bytes(data), max_pixels=10_000)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ImageError, match=str(path)):
            read_image(path)


def test_a_giant_text_chunk_is_refused() -> None:
    text = b"iTXt" + b"a\0\1\0\0\0" + zlib.compress(bytes(10**8))
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    data = encode(gradient())
    with pytest.raises(ImageError):
        read_image(data[:33] + chunk + data[33:])


def test_upright_names_damage_that_shows_late() -> None:
    data = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    with Image.open(io.BytesIO(data[:2000])) as image, pytest.raises(ImageError, match="cannot read"):
        upright(image)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 7, (7, 7, 7)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 65535, (255, 255, 255)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (9, 8, 7, 255), (9, 8, 7)),
        ("LA", (0, 127), (128, 128, 128)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
    ],
)
def test_rgb_array(mode: str, colour: object, expected: tuple[int, ...]) -> None:
    array = rgb_array(Picture.of(Image.new(mode, (3, 2), colour)))  # type: ignore[arg-type]
    assert array.shape == (2, 3, 3)
    assert array.dtype == np.uint8
    assert tuple(array[0, 0].tolist()) == expected


def test_rgb_array_applies_the_profile() -> None:
    image = Image.new("RGB", (1, 1), (200, 100, 50))
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.abs(rgb_array(Picture.of(image))[0, 0].astype(int) - (200, 100, 50)).max() <= 1
