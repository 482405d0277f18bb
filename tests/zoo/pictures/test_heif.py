"""HEIC files as pillow-heif writes them."""

import io
import sys
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from picture_files import HEIC, HEIF
from zoo import ImageError, ImageTooLargeError, read_image, read_pages, read_picture
from zoo.pictures.images import read_header, rgb_array
from zoo.pictures.picture import Kind


def heic(*images: Image.Image, primary: int = 0, **options: Any) -> bytes:
    """Several pictures in a file, without loss where chroma is kept."""
    file = pillow_heif.HeifFile()
    for image in images:
        file.add_from_pillow(image)
    out = io.BytesIO()
    file.save(out, **{"quality": -1, "chroma": 444, "primary_index": primary, **options})
    return out.getvalue()


def ramp(mode: str) -> Image.Image:
    red, green = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 64))
    pixels = np.stack([red, green, 255 - red, np.full_like(red, 200)], axis=-1).round().astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_a_photograph_is_read_as_it_was(mode: str, channels: int) -> None:
    data = heic(ramp(mode))
    assert read_header(data).kind == Kind(channels, 8)
    assert read_header(data).size == (96, 64)
    picture = read_picture(data)
    assert picture.kind == Kind(channels, 8)
    apart = picture.pixels.astype(int) - np.asarray(ramp(mode))
    assert np.abs(apart).max() <= 3  # HEVC keeps luma and two colors, rounded
    assert read_image(data).size == (96, 64)


def test_ten_bits_stay_and_white_is_white() -> None:
    pixels = np.zeros((64, 96, 3), np.uint16)
    pixels[:, 32:64], pixels[:, 64:] = 32800, 65535
    out = io.BytesIO()
    made = pillow_heif.from_bytes("RGB;16", (96, 64), pixels.tobytes())
    made.save(out, quality=-1, chroma=444)
    picture = read_picture(out.getvalue())
    assert picture.kind == Kind(3, 16)
    assert [int(picture.pixels[9, column].max()) for column in (9, 90)] == [0, 65535]
    assert picture.pixels[9, 48].max() == pytest.approx(32800, abs=130)
    assert [int(rgb_array(picture)[9, column].min()) for column in (9, 90)] == [0, 255]


def test_it_is_upright_once() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A phone"
    data = heic(ramp("RGB"), exif=exif.tobytes())
    assert read_header(data).size == (64, 96)
    picture = read_picture(data)
    assert picture.size == (64, 96)
    assert picture.pixels[0, 0] == pytest.approx(np.asarray(ramp("RGB"))[-1, 0], abs=3)
    assert b"A phone" in picture.metadata.exif
    kept = Image.Exif()
    kept.load(picture.metadata.exif)
    assert kept.get(0x0112, 1) == 1


def test_colors_are_those_it_declares() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_picture(heic(ramp("RGB"), icc_profile=profile)).profile == profile
    assert read_picture(heic(ramp("RGB"))).profile is None
    wide = heic(ramp("RGB"), color_primaries=12, transfer_characteristics=13)
    picture = read_picture(wide)
    assert picture.profile
    assert np.abs(rgb_array(picture).astype(int) - picture.pixels).max() > 10
    with pytest.raises(ImageError, match="PQ"):
        read_picture(heic(ramp("RGB"), color_primaries=9, transfer_characteristics=16))


def test_the_primary_picture_is_the_first_page(caplog: pytest.LogCaptureFixture) -> None:
    small = ramp("L").resize((48, 32))
    data = heic(ramp("L"), small, primary=1)
    assert [page.size for page in read_pages(data).pictures] == [(48, 32), (96, 64)]
    assert read_picture(data).size == (48, 32)
    assert "2 pages" in caplog.text


def test_a_large_one_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(ramp("RGB"))
    monkeypatch.setattr(pillow_heif.heif.BaseImage, "load", None)  # not callable
    with pytest.raises(ImageTooLargeError, match="96 x 64"):
        read_picture(data, max_pixels=96 * 64 - 1)


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_a_damaged_one_is_refused(keep: float) -> None:
    data = heic(ramp("RGB"))
    for broken in (data[: int(keep * len(data))], HEIC, HEIF):
        with pytest.raises(ImageError, match="cannot read the image"):
            read_picture(broken)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(ramp("RGB"))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for read in (read_image, read_picture, read_pages, read_header):
        with pytest.raises(ImageError, match=r"HEIC.*tunable-zoo\[heif\]"):
            read(data)
