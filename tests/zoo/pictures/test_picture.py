"""Reduced pictures of every kind."""

import numpy as np
import pytest

from zoo.pictures.picture import Picture

WHITE = {"uint8": 255, "uint16": 65535, "float32": 1.0}


@pytest.mark.parametrize("dtype", WHITE)
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_a_reduced_picture_is_of_the_same_kind_and_tone(dtype: str, channels: tuple[int, ...]) -> None:
    pixels = np.full((20, 60, *channels), WHITE[dtype], dtype)
    pixels[:, 30:] = 0
    if channels in ((2,), (4,)):
        pixels[..., -1] = WHITE[dtype]
    small = Picture(pixels).reduced(15)
    assert small.kind == Picture(pixels).kind
    assert small.size == (15, 5)
    first = small.pixels if not channels else small.pixels[..., 0]
    np.testing.assert_allclose(first[:, :4] / WHITE[dtype], 1, atol=0.01)
    np.testing.assert_allclose(first[:, -4:] / WHITE[dtype], 0, atol=0.01)


@pytest.mark.parametrize("dtype", WHITE)
def test_what_cannot_be_seen_does_not_colour_the_rest(dtype: str) -> None:
    pixels = np.full((32, 32, 4), WHITE[dtype], dtype)
    pixels[::2] = 0  # black, and transparent
    small = Picture(pixels).reduced(8).pixels[2:-2, 2:-2] / WHITE[dtype]
    np.testing.assert_allclose(small[..., :3], 1, atol=0.02)
    np.testing.assert_allclose(small[..., 3], 0.5, atol=0.05)


def test_a_small_picture_stays_itself_and_a_line_keeps_a_pixel() -> None:
    picture = Picture(np.zeros((1, 300), np.uint8))
    assert picture.reduced(300) is picture
    assert picture.reduced(10).size == (10, 1)
