"""Colours that a file states without a profile get one, by which others show them rightly."""

import io
import struct

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from picture_files import png
from zoo.errors import ImageError
from zoo.pictures.formats import BY_NAME, WRITABLE
from zoo.pictures.images import read_header, read_image, read_picture, rgb_array
from zoo.pictures.metadata import Metadata, into_tiff
from zoo.pictures.profiles import ADOBE_GAMMA, ADOBE_PRIMARIES, SRGB_CURVE, SRGB_PRIMARIES, make_profile

ADOBE = (0.3127, 0.329, *ADOBE_PRIMARIES)
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SRGB = (0.3127, 0.329, *SRGB_PRIMARIES)


def gama(gamma: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(gamma * 100000))


def chrm(*points: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(point * 100000) for point in points))


def cicp(*codes: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes([*codes, 0, 1])


def shown(data: bytes) -> list[int]:
    """The first pixel as a program shows it that knows profiles, in sRGB."""
    image = Image.open(io.BytesIO(data))
    profile = image.info.get("icc_profile")
    if not profile:
        return list(np.asarray(image.convert("RGB"))[0, 0])
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return list(np.asarray(converted)[0, 0])


def encoded(value: float) -> float:
    """Light as a value of sRGB."""
    return 255 * (12.92 * value if value < 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], [100, 150, 100]),
        ([(b"sRGB", b"\0")], [100, 150, 100]),
        ([gama(0.45455)], [100, 150, 100]),
        ([gama(0.45455), chrm(*SRGB)], [100, 150, 100]),
        ([chrm(*SRGB)], [100, 150, 100]),
        ([gama(1.0), (b"sRGB", b"\0")], [100, 150, 100]),  # sRGB goes first
        ([gama(1.0)], [encoded(100 / 255), encoded(150 / 255), encoded(100 / 255)]),
        ([gama(1 / 1.8)], [encoded((v / 255) ** 1.8) for v in (100, 150, 100)]),
        # By the matrices of the two spaces: green goes further, red falls.
        ([gama(1 / ADOBE_GAMMA), chrm(*ADOBE)], [66, 151, 96]),
        ([chrm(*P3)], [81, 152, 95]),
        ([cicp(12, 13)], [81, 152, 95]),
        ([cicp(1, 13)], [100, 150, 100]),
        ([cicp(1, 8)], [encoded(v / 255) for v in (100, 150, 100)]),
        ([cicp(99, 99)], [100, 150, 100]),
        ([gama(0.0)], [100, 150, 100]),
        ([chrm(0, 0, 0, 0, 0, 0, 0, 0)], [100, 150, 100]),
        ([gama(1.0), chrm(0.3, 0.3, *[0.5] * 6)], [100, 150, 100]),  # no colours at all
    ],
)
def test_chunks_of_a_png(chunks: list[tuple[bytes, bytes]], expected: list[float]) -> None:
    pixels = np.full((4, 5, 3), [100, 150, 100], np.uint8)
    picture = read_picture(png(pixels, chunks))
    assert np.array_equal(picture.pixels, pixels)  # what is restored is what was stored
    for form in WRITABLE:
        assert np.abs(np.array(shown(form.encode(picture))) - expected).max() <= 3
    assert np.abs(rgb_array(picture)[0, 0] - expected).max() <= 2  # training sees the colours
    deep = read_picture(png(pixels.astype(np.uint16) * 257, chunks))
    assert np.abs(rgb_array(deep)[0, 0] - expected).max() <= 2
    assert deep.profile == picture.profile


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_has_a_profile_of_its_own(channels: int) -> None:
    pixels = np.full((4, 5) if channels == 1 else (4, 5, 2), 100, np.uint8)
    picture = read_picture(png(pixels, [gama(1.0)]))
    assert picture.profile is not None
    assert picture.profile[16:20] == b"GRAY"
    data = BY_NAME["PNG"].encode(picture)
    assert read_picture(data).profile == picture.profile
    if channels == 1:  # littleCMS by Pillow takes no grey with alpha
        assert abs(shown(data)[0] - encoded(100 / 255)) <= 1


def test_chunks_without_a_profile_are_kept_in_png() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    for chunk in ((b"sRGB", b"\1"), cicp(9, 16), cicp(9, 18)):
        again = read_picture(BY_NAME["PNG"].encode(read_picture(png(pixels, [chunk]))))
        assert again.metadata.chunks == (chunk,)
        assert again.profile is None


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_for_png_alone(transfer: int) -> None:
    data = png(np.zeros((4, 5, 3), np.uint8), [cicp(9, transfer)])
    header, picture = read_header(data), read_picture(data)
    assert header.is_hdr
    for form in WRITABLE:
        if form.name == "PNG":
            assert form.fit_pages(header) is None
            continue
        said = f"{form.name} .*HDR"
        with pytest.raises(ImageError, match=said):
            form.fit_pages(header)
        with pytest.raises(ImageError, match=said):
            form.encode(picture)


def avif(primaries: int, transfer: int, bits: int) -> bytes:
    """An AVIF of one colour that states its colour space by these code points."""
    pixels = np.full((16, 16, 3), [100, 150, 100], np.uint8)
    out = io.BytesIO()
    if bits == 8:
        Image.fromarray(pixels).save(out, "AVIF", quality=100)
        data = out.getvalue()
    else:
        image = pyvips.Image.new_from_array(pixels.astype(np.uint16) * 257).copy(interpretation="rgb16")
        data = image.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True)
    assert data.count(b"colrnclx") == 1
    start = data.index(b"colrnclx") + 8
    return data[:start] + struct.pack(">HH", primaries, transfer) + data[start + 4 :]


@pytest.mark.parametrize("bits", [8, 10])
def test_code_points_of_an_avif_are_read(bits: int) -> None:
    picture = read_picture(avif(12, 13, bits))
    assert picture.profile is not None
    assert np.abs(rgb_array(picture)[8, 8] - [81, 152, 95]).max() <= 3
    assert read_picture(avif(1, 13, bits)).profile is None
    assert read_picture(avif(2, 2, bits)).metadata.chunks == ()
    bright = avif(9, 16, bits)
    assert read_header(bright).is_hdr
    again = read_picture(BY_NAME["PNG"].encode(read_picture(bright)))
    assert again.metadata.chunks == (cicp(9, 16),)


def test_an_embedded_profile_goes_first() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    out = io.BytesIO()
    Image.new("RGB", (5, 4), (100, 150, 100)).save(out, "PNG", icc_profile=profile)
    data = out.getvalue()
    picture = read_picture(data[:33] + png(np.zeros((1, 1), np.uint8), [gama(1.0)])[33:49] + data[33:])
    assert picture.profile == profile


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP"])
def test_adobe_rgb_by_exif_alone(kind: str) -> None:
    tags = Image.Exif()
    tags[34665] = {40961: 0xFFFF, 40965: {1: "R03", 2: b"0100"}}
    out = io.BytesIO()
    options = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}, "TIFF": {}}[kind]
    Image.new("RGB", (5, 4), (100, 150, 100)).save(out, kind, exif=tags.tobytes(), **options)
    data = out.getvalue()
    if kind == "TIFF":  # Pillow leaves the inner directory out
        data = into_tiff([(data, Metadata(exif=tags.tobytes()))])
    picture = read_picture(data)
    assert picture.profile == read_image(data).info["icc_profile"]
    for form in WRITABLE:
        assert np.abs(np.array(shown(form.encode(picture))) - [66, 151, 96]).max() <= 4
    assert np.abs(rgb_array(picture)[0, 0].astype(int) - [66, 151, 96]).max() <= 4


@pytest.mark.parametrize(("space", "index"), [(1, "R03"), (0xFFFF, "R98"), (0xFFFF, None)])
def test_what_is_not_said_to_be_adobe_rgb(space: int, index: str | None) -> None:
    tags = Image.Exif()
    tags[34665] = {40961: space, **({40965: {1: index}} if index else {})}
    out = io.BytesIO()
    Image.new("RGB", (5, 4)).save(out, "JPEG", exif=tags.tobytes())
    assert read_picture(out.getvalue()).profile is None


def test_the_profile_of_srgb_is_srgb() -> None:
    profile = make_profile(SRGB_CURVE, SRGB_PRIMARIES)
    assert profile is not None
    ours = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    theirs = ImageCms.createProfile("sRGB")
    for name in ("red_colorant", "green_colorant", "blue_colorant"):
        assert np.allclose(getattr(ours, name)[0], getattr(theirs, name)[0], atol=1e-4)
