"""What formats hold is said beforehand, and is what is written."""

import io
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from zoo.errors import ImageError
from zoo.pictures.formats import BY_NAME, BY_SUFFIX, WRITABLE, Format, readable_suffixes
from zoo.pictures.images import read_header, read_picture
from zoo.pictures.picture import FLOAT, Header, Kind, Pages, Picture
from zoo.pictures.planes import to_array, to_image

SIZE = (6, 4)
RGB = Kind(3, 8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KINDS = [Kind(channels, bits) for channels in (1, 2, 3, 4) for bits in (8, 16, FLOAT)]
"""What a predictor gives."""


def ramp(kind: Kind = RGB) -> Picture:
    """From black to white, each channel in steps of its own."""
    shape = (4, 6) if kind.channels == 1 else (4, 6, kind.channels)
    values = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    if kind.bits == FLOAT:
        return Picture(values)
    return Picture(np.rint(values * (2**kind.bits - 1)).astype(f"uint{kind.bits}"))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def unit(picture: Picture) -> np.ndarray:
    """The channels in [0, 1]."""
    pixels = picture.pixels
    return pixels / (1.0 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("form", WRITABLE, ids=lambda form: form.name)
def test_what_is_held_is_the_picture_and_the_rest_is_said(form: Format, kind: Kind) -> None:
    picture = ramp(kind)
    if kind.has_alpha and not form.transparent:
        with pytest.raises(ImageError, match=r"\.tif"):
            form.encode(picture)
        return
    said = form.fit(kind, picture.size)
    assert (said is None) == form.holds(kind, picture.size) == (kind.bits in form.bits)
    data = form.encode(picture)
    back = read_picture(data)
    depth = min(kind.bits, max(form.bits))
    assert read_header(data).kind == back.kind
    if form.name == "WEBP":  # has no grey
        assert back.kind.channels == (4 if kind.has_alpha else 3)
        back = Picture(back.pixels[..., [0, 3] if kind.has_alpha else 0]) if kind.channels < 3 else back
    assert back.kind == Kind(kind.channels, depth)
    tolerance = 5 / 255 if form.name == "JPEG" else 0.5001 / (2**depth - 1)
    opaque = ~(back.pixels[..., -1:] == 0) if kind.has_alpha else np.True_  # WebP drops hidden colours
    assert (np.abs(unit(back) - unit(picture)) * opaque).max() <= tolerance


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_picture_as_an_image(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    picture = replace(ramp(kind), profile=b"a profile")
    image = picture.image()
    assert image.info["icc_profile"] == b"a profile"
    assert Picture.of(image).kind == Kind(kind.channels, 8 if kind.is_deep else kind.bits)
    assert np.abs(unit(Picture.of(image)) - unit(picture)).max() <= 0.5001 / 255
    assert caplog.messages == (
        [f"{kind} is rounded to 8 bits: PIL images hold no more; read_picture keeps it"]
        if kind.is_deep
        else []
    )


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("WEBP", Kind(1, 16), "16-bit grey is rounded to 8 bits: WEBP holds no more; PNG and TIFF hold it"),
        ("PNG", Kind(1, FLOAT), "float grey is rounded to 16 bits: PNG holds no more; TIFF holds it"),
        ("JPEG", Kind(1, FLOAT), "float grey is rounded to 8 bits: JPEG holds no more; TIFF holds it"),
        ("TIFF", Kind(4, FLOAT), None),
        ("PNG", Kind(4, 16), None),
        ("WEBP", Kind(3, 16), "16-bit RGB is rounded to 8 bits: WEBP holds no more; PNG and TIFF hold it"),
        ("PNG", Kind(4, 8), None),
    ],
)  # fmt: skip
def test_sentences_of_depth(name: str, kind: Kind, said: str | None) -> None:
    assert BY_NAME[name].fit(kind, SIZE) == said


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("WEBP", (16384, 1), r"16,383 .*16384 x 1.*\.png, \.tif or \.jpg"),
        ("JPEG", (1, 65501), r"65,500 .*1 x 65501.*\.png or \.tif"),
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
        assert read_header(path) == Header(Kind.of(result), SIZE)
        assert Kind.of(result).has_alpha


def test_a_header_is_all_that_is_read(tmp_path: Path) -> None:
    whole = BY_NAME["PNG"].encode(ramp())
    assert read_header(whole[:60]) == Header(Kind(3, 8), SIZE)
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
    with pytest.raises(ImageError, match="quality 90"):
        BY_NAME["PNG"].encode(noise, quality=90)
    picture = Picture.of(noise)
    for name, durations in (("PNG", (50, 50)), ("TIFF", ())):
        with pytest.raises(ImageError, match=f"{name} .*quality 90"):
            BY_NAME[name].encode_pages(Pages((picture, picture), durations), quality=90)


def test_the_profile_is_written() -> None:
    for kind, name in itertools.product(KINDS, ("PNG", "TIFF")):
        if kind.channels < 3:  # an RGB profile is none of theirs, and libpng drops it
            continue
        data = BY_NAME[name].encode(replace(ramp(kind), profile=SRGB))
        assert read_picture(data).profile == SRGB


def test_suffixes() -> None:
    assert set(BY_SUFFIX) == {".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg"}
    assert set(BY_SUFFIX) | {".avif", ".bmp", ".gif", ".heic", ".ppm"} <= readable_suffixes()
    assert not {".pdf", ".eps", ".ico", ".jxl"} & readable_suffixes()
