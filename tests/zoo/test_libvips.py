"""What libvips writes and converts."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ImageCms

from zoo.formats import BY_NAME
from zoo.images import read_picture, rgb_array
from zoo.picture import Picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def values(channels: int, dtype: str = "uint16") -> np.ndarray:
    """A picture whose steps are finer than 8 bits; 6 high, 8 wide."""
    shape = (6, 8) if channels == 1 else (6, 8, channels)
    generator = np.random.default_rng(channels)
    if dtype[0] == "f":
        return generator.random(shape).astype(dtype)
    return generator.integers(0, 65536, shape, dtype=np.uint16).astype(dtype)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_what_is_written_is_what_others_read(channels: int) -> None:
    for dtype in ("uint16", "float32"):
        picture = Picture(values(channels, dtype), SRGB if channels > 2 else None)
        with tifffile.TiffFile(io.BytesIO(BY_NAME["TIFF"].encode(picture))) as file:
            assert np.array_equal(file.asarray(), picture.pixels)
            assert [*map(int, file.pages[0].extrasamples)] == [2] * (channels in (2, 4))
    if channels > 2:
        data = np.frombuffer(BY_NAME["PNG"].encode(Picture(values(channels))), np.uint8)
        order = [2, 1, 0, 3][:channels]
        assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., order], values(channels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_are_written_as_those_of_32_bits(channels: int, dtype: str) -> None:
    picture = Picture(values(channels, "float32").astype(dtype))
    data = BY_NAME["TIFF"].encode(picture)
    back = read_picture(data)
    assert back.pixels.dtype == np.float32
    assert np.array_equal(back.pixels, picture.pixels.astype(np.float32))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.asarray().dtype == np.float32
    assert rgb_array(replace(picture, profile=SRGB)).shape == (6, 8, 3)


def test_training_sees_srgb_of_8_bits() -> None:
    assert np.array_equal(rgb_array(Picture(values(3))), np.rint(values(3) / 257).astype(np.uint8))
    assert np.abs(rgb_array(Picture(values(3), SRGB)) - values(3) / 257).max() <= 1
    assert rgb_array(Picture(values(3, "float32"), SRGB)).dtype == np.uint8
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert rgb_array(Picture(values(3), linear)).shape == (6, 8, 3)
    assert np.array_equal(rgb_array(Picture(values(3), b"none")), rgb_array(Picture(values(3))))
