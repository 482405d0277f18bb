"""What libvips writes and converts."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ImageCms

from picture_files import noise
from zoo.pictures.formats import BY_NAME
from zoo.pictures.images import read_picture, rgb_array
from zoo.pictures.picture import Picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_what_is_written_is_what_others_read(channels: int) -> None:
    for dtype in ("uint16", "float32"):
        picture = Picture(noise(channels, dtype), SRGB if channels > 2 else None)
        with tifffile.TiffFile(io.BytesIO(BY_NAME["TIFF"].encode(picture))) as file:
            assert np.array_equal(file.asarray(), picture.pixels)
            assert [*map(int, file.pages[0].extrasamples)] == [2] * (channels in (2, 4))
    if channels > 2:
        data = np.frombuffer(BY_NAME["PNG"].encode(Picture(noise(channels))), np.uint8)
        order = [2, 1, 0, 3][:channels]
        assert np.array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., order], noise(channels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_are_written_as_those_of_32_bits(channels: int, dtype: str) -> None:
    picture = Picture(noise(channels, "float32").astype(dtype))
    data = BY_NAME["TIFF"].encode(picture)
    back = read_picture(data)
    assert back.pixels.dtype == np.float32
    assert np.array_equal(back.pixels, picture.pixels.astype(np.float32))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.asarray().dtype == np.float32
    assert rgb_array(replace(picture, profile=SRGB)).shape == (6, 8, 3)


def test_training_sees_srgb_of_8_bits() -> None:
    assert np.array_equal(rgb_array(Picture(noise(3))), np.rint(noise(3) / 257).astype(np.uint8))
    assert np.abs(rgb_array(Picture(noise(3), SRGB)) - noise(3) / 257).max() <= 1
    assert rgb_array(Picture(noise(3, "float32"), SRGB)).dtype == np.uint8
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert rgb_array(Picture(noise(3), linear)).shape == (6, 8, 3)
    assert np.array_equal(rgb_array(Picture(noise(3), b"none")), rgb_array(Picture(noise(3))))
