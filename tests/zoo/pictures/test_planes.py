import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from zoo.errors import ImageError
from zoo.pictures.planes import Array, Planes, to_array, to_image

SHAPES = [(4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 4)]
DTYPES = ["uint8", "uint16", "float16", "float32", "float64"]


def ramp(shape: tuple[int, ...], dtype: str) -> Array:
    values = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    return values.astype(dtype) if dtype[0] == "f" else (values * np.iinfo(dtype).max).astype(dtype)


def restore(planes: Planes, rgb: Array) -> Array:
    """The picture's kind of the network's whole output."""
    canvas = planes.make_canvas(rgb.shape[0] // planes.like.shape[0])
    planes.write(canvas, (slice(None), slice(None)), rgb)
    return canvas


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_restoring_what_was_seen_gives_the_array_back(shape: tuple[int, ...], dtype: str) -> None:
    array = ramp(shape, dtype)
    planes = Planes.of(array)
    assert planes.rgb.shape == (4, 5, 3)
    assert planes.rgb.dtype == np.float32
    assert 0 <= planes.rgb.min() <= planes.rgb.max() <= 1
    restored = restore(planes, planes.rgb)
    assert restored.dtype == array.dtype
    np.testing.assert_allclose(restored, array, rtol=1e-6)


@given(arrays(np.uint16, (3, 2)))
def test_sixteen_bits_survive(array: Array) -> None:
    planes = Planes.of(array)
    assert np.array_equal(restore(planes, planes.rgb), array)


@given(st.integers(0, 2**32 - 1))
def test_grey_is_the_mean_and_alpha_is_untouched(seed: int) -> None:
    generator = np.random.default_rng(seed)
    array = generator.integers(0, 256, (4, 5, 2), dtype=np.uint8)
    output = generator.random((4, 5, 3), dtype=np.float32)
    restored = restore(Planes.of(array), output)
    assert np.array_equal(restored[..., 1], array[..., 1])
    assert np.abs(restored[..., 0] - output.mean(2) * 255).max() <= 0.5001


def test_integers_are_rounded_and_clamped() -> None:
    planes = Planes.of(np.zeros((1, 4), np.uint8))
    output = np.array([-1, 0.499 / 255, 0.501 / 255, 2], np.float32)
    assert restore(planes, output.reshape(1, 4, 1).repeat(3, 2)).tolist() == [[0, 0, 1, 255]]


@given(st.integers(0, 2**32 - 1), st.sampled_from([(1, 1, 2), (5, 7, 2), (8, 8, 4), (13, 3, 4)]))
def test_what_alpha_hides_reaches_nothing(seed: int, shape: tuple[int, int, int]) -> None:
    generator = np.random.default_rng(seed)
    array = generator.integers(64, 192, shape, dtype=np.uint8)
    hidden = generator.random(shape[:2]) < generator.random()
    array[hidden, -1] = 0
    black, white = array.copy(), array.copy()
    black[hidden, :-1], white[hidden, :-1] = 0, 255
    rgb = Planes.of(black).rgb
    assert np.array_equal(rgb, Planes.of(white).rgb)
    expected = np.broadcast_to(array[..., :-1].astype(np.float32) / 255, rgb.shape)
    np.testing.assert_allclose(rgb[~hidden], expected[~hidden], rtol=1e-6)
    if not hidden.all():
        seen = rgb[~hidden]
        assert (rgb >= seen.min(0) - 1e-6).all()
        assert (rgb <= seen.max(0) + 1e-6).all()


def test_hidden_colours_are_those_nearby() -> None:
    array = np.zeros((32, 32, 4), np.uint8)
    array[:, :8] = (200, 0, 0, 255)
    array[:, 24:] = (0, 0, 200, 255)
    rgb = Planes.of(array).rgb
    assert rgb[16, 9, 0] > 0.7
    assert rgb[16, 9, 2] < 0.1
    assert rgb[16, 22, 2] > 0.7


def test_alpha_grows_with_the_image() -> None:
    array = np.full((4, 5, 4), 200, np.uint8)
    restored = restore(Planes.of(array), np.zeros((8, 10, 3), np.float32))
    assert restored.shape == (8, 10, 4)
    assert (restored[..., 3] == 200).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_parts_are_those_of_the_whole(shape: tuple[int, ...]) -> None:
    array = ramp(shape, "uint8")
    planes = Planes.of(array)
    canvas = planes.make_canvas(1)
    for area in ((slice(0, 1), slice(0, 5)), (slice(1, 4), slice(0, 2)), (slice(1, 4), slice(2, 5))):
        part = planes.read(*area)
        assert np.array_equal(part, planes.rgb[area])
        planes.write(canvas, area, part)
    assert np.array_equal(canvas, array)


def test_over_white() -> None:
    array = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [100, 100, 100, 255]]], np.uint8)
    assert Planes.of(array).over_white()[0, :, 0].tolist() == [255, 0, 100]
    assert Planes.of(np.array([[65535, 0]], np.uint16)).over_white()[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((2, 2, 5), np.uint8), "shape"),
        (np.zeros((2, 2, 3, 1), np.uint8), "shape"),
        (np.zeros((0, 2, 3), np.uint8), r"\(0, 2, 3\)"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), bool), "bool"),
        (np.full((2, 2), 255.0), "255"),
        (np.array([[0.5, np.nan]]), "nan"),
        (np.array([[0.5, np.inf]]), "inf"),
    ],
)
def test_what_is_no_picture_is_refused(array: Array, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Planes.of(array)


@pytest.mark.parametrize(
    ("mode", "back", "shape"),
    [
        ("1", "L", (2, 3)),
        ("L", "L", (2, 3)),
        ("LA", "LA", (2, 3, 2)),
        ("La", "LA", (2, 3, 2)),
        ("P", "RGB", (2, 3, 3)),
        ("PA", "RGBA", (2, 3, 4)),
        ("RGB", "RGB", (2, 3, 3)),
        ("RGBX", "RGB", (2, 3, 3)),
        ("RGBA", "RGBA", (2, 3, 4)),
        ("RGBa", "RGBA", (2, 3, 4)),
        ("CMYK", "RGB", (2, 3, 3)),
        ("YCbCr", "RGB", (2, 3, 3)),
        ("LAB", "RGB", (2, 3, 3)),
        ("HSV", "RGB", (2, 3, 3)),
        ("I;16", "I;16", (2, 3)),
        ("I;16B", "I;16", (2, 3)),
        ("I", "I;16", (2, 3)),
        ("F", "F", (2, 3)),
    ],
)
def test_every_mode_has_its_rule(mode: str, back: str, shape: tuple[int, ...]) -> None:
    array = to_array(Image.new(mode, (3, 2)))
    assert array.shape == shape
    assert to_image(restore(Planes.of(array), Planes.of(array).rgb)).mode == back


@pytest.mark.parametrize(("mode", "shape"), [("P", (2, 3, 4)), ("RGB", (2, 3, 4)), ("L", (2, 3, 2))])
def test_a_transparent_colour_is_alpha(mode: str, shape: tuple[int, ...]) -> None:
    image = Image.new(mode, (3, 2))
    image.info["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    array = to_array(image)
    assert array.shape == shape
    assert (array[..., -1] == 0).all()


def test_black_and_white_are_the_ends() -> None:
    assert to_array(Image.new("1", (1, 1), 1)).tolist() == [[255]]


def test_thirty_two_bits_beyond_sixteen_are_refused() -> None:
    with pytest.raises(ImageError, match="0 to 65535"):
        to_array(Image.new("I", (1, 1), 70_000))
