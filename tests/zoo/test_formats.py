"""What formats hold is said beforehand, and is what Pillow writes."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.errors import ImageError
from zoo.formats import BY_NAME, BY_SUFFIX, FLOAT, WRITABLE, Format, Kind, read_header, readable_suffixes
from zoo.planes import Planes, to_array, to_image

SIZE = (6, 4)
RESULTS = ["L", "LA", "RGB", "RGBA", "I;16", "F"]
"""The modes of what a predictor gives."""


def ramp(mode: str) -> Image.Image:
    """From black to white in any mode of the results."""
    grey = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    if mode == "F":
        return Image.fromarray(grey)
    if mode == "I;16":
        return Image.fromarray(np.rint(grey * 65535).astype(np.uint16))
    return Image.fromarray(np.rint(grey * 255).astype(np.uint8)).convert(mode)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def unit(image: Image.Image) -> np.ndarray:
    """The colours in [0, 1], three channels."""
    return np.asarray(Planes.of(to_array(image)).rgb)


@pytest.mark.parametrize("mode", RESULTS)
@pytest.mark.parametrize("form", WRITABLE, ids=lambda form: form.name)
def test_what_is_held_is_the_picture_and_the_rest_is_said(form: Format, mode: str) -> None:
    picture = ramp(mode)
    kind = Kind.of(picture)
    if kind.channels not in form.bits:
        with pytest.raises(ImageError, match=r"JPEG holds no transparency; choose .png, .tif or .webp"):
            form.encode(picture)
        return
    said = form.fit(kind, picture.size)
    assert (said is None) == form.holds(kind, picture.size)
    back = opened(form.encode(picture))
    depth = {1: 16, 2: 8, 3: 8, 4: 8}[kind.channels] if form.name in ("PNG", "TIFF") else 8
    tolerance = 2 / 255 if form.name == "JPEG" else 1 / (2**depth - 1)
    assert np.abs(unit(back) - unit(picture)).max() <= tolerance
    if said is None and form.name != "WEBP":
        assert Kind.of(back) == kind


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("WEBP", Kind(1, 16), "16-bit grey is rounded to 8 bits: WEBP holds no more; PNG and TIFF hold it"),
        ("PNG", Kind(1, FLOAT), "float grey is rounded to 16 bits: PNG holds no more; TIFF holds it"),
        ("JPEG", Kind(1, FLOAT), "float grey is rounded to 8 bits: JPEG holds no more; TIFF holds it"),
        ("TIFF", Kind(1, FLOAT), None),
        ("PNG", Kind(4, 8), None),
    ],
)  # fmt: skip
def test_sentences_of_depth(name: str, kind: Kind, said: str | None) -> None:
    assert BY_NAME[name].fit(kind, SIZE) == said


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("WEBP", (16384, 1), r"at most 16,383 pixels a side, got 16384 x 1; choose .png, .tif or .jpg"),
        ("JPEG", (1, 65501), r"at most 65,500 pixels a side, got 1 x 65501; choose .png or .tif"),
    ],
)  # fmt: skip
def test_sides(name: str, size: tuple[int, int], said: str) -> None:
    form, kind = BY_NAME[name], Kind(3, 8)
    with pytest.raises(ImageError, match=said):
        form.fit(kind, size)
    longest = (min(size[0], form.side_px), min(size[1], form.side_px))
    assert form.fit(kind, longest) is None
    assert opened(form.encode(Image.new("RGB", longest))).size == longest


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "HSV", "LAB", "I;16", "F"])
def test_a_header_says_the_kind_of_the_result(mode: str) -> None:
    image = Image.new(mode, SIZE)
    assert Kind.of(image) == Kind.of(to_image(to_array(image)))


def test_a_transparent_colour_is_transparency(tmp_path: Path) -> None:
    for mode, colour in (("P", 0), ("L", 7), ("RGB", (1, 2, 3))):
        path = tmp_path / f"{mode}.png"
        Image.new(mode, SIZE).save(path, transparency=colour)
        with Image.open(path) as image:
            result = to_image(to_array(image))
        assert read_header(path) == (Kind.of(result), SIZE)
        assert Kind.of(result).has_alpha


def test_a_header_is_all_that_is_read(tmp_path: Path) -> None:
    whole = BY_NAME["PNG"].encode(ramp("RGB"))
    assert read_header(whole[:60]) == (Kind(3, 8), SIZE)
    (tmp_path / "broken.png").write_bytes(whole[:20])
    for name in ("broken.png", "missing.png"):
        with pytest.raises(ImageError, match=name):
            read_header(tmp_path / name)


def test_quality_is_for_formats_that_have_one() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for name in ("JPEG", "WEBP"):
        sizes = [len(BY_NAME[name].encode(noise, quality=quality)) for quality in (10, 50, 90)]
        assert sizes == sorted(sizes)
    assert len(BY_NAME["WEBP"].encode(noise, quality=90)) < len(BY_NAME["WEBP"].encode(noise))
    with pytest.raises(ImageError, match="PNG is lossless, got quality 90; leave it out"):
        BY_NAME["PNG"].encode(noise, quality=90)


def test_the_profile_is_written() -> None:
    picture = ramp("F")
    picture.info["icc_profile"] = b"a profile"
    assert opened(BY_NAME["PNG"].encode(picture)).info["icc_profile"] == b"a profile"


def test_suffixes() -> None:
    assert set(BY_SUFFIX) == {".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg"}
    assert set(BY_SUFFIX) | {".avif", ".bmp", ".gif", ".ppm"} <= readable_suffixes()
    assert not {".pdf", ".eps", ".ico", ".heic"} & readable_suffixes()
