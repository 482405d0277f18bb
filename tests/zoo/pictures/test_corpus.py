"""A corpus made here, kinds of pictures by formats and metadata: read and written as others do it.

The others are OpenCV, which has a build of its own of the codecs, and tifffile, which has code of its own.
"""

import io
from contextlib import suppress
from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from picture_files import png, tiff
from zoo.errors import ImageError
from zoo.pictures.formats import BY_NAME, WRITABLE, Format
from zoo.pictures.images import read_header, read_pages, read_picture
from zoo.pictures.metadata import Metadata, into_png, into_tiff
from zoo.pictures.picture import FLOAT, Kind, Pages, Picture

WIDTH, HEIGHT = 37, 23
KINDS = [Kind(channels, bits) for channels in (1, 2, 3, 4) for bits in (8, 16, FLOAT)]
TURNS = {1: 0, 3: 2, 6: 3, 8: 1}
"""Quarters of a turn to the left that an orientation asks for."""


def pixels(kind: Kind, seed: int = 0) -> np.ndarray:
    """Smooth, so that a lossy format keeps it, in steps finer than 8 bits."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    channels = [0.5 + 0.45 * np.sin(seed + c + x / (9 + c) + y / (7 + 2 * c)) for c in range(kind.channels)]
    if kind.has_alpha:
        channels[-1] = np.clip(channels[-1], 0.2, 1)  # what is hidden may be lost
    values = channels[0] if kind.channels == 1 else np.stack(channels, axis=2)
    if kind.bits == FLOAT:
        return values.astype(np.float32)
    return np.rint(values * (2**kind.bits - 1)).astype(f"uint{kind.bits}")


def metadata(orientation: int) -> Metadata:
    tags = Image.Exif()
    tags[274], tags[315] = orientation, "Ann Author"
    return Metadata(exif=tags.tobytes(), dpi=(300.0, 300.0))


def by_others(data: bytes, name: str, kind: Kind) -> np.ndarray:
    """What OpenCV and tifffile read, in our order of channels."""
    if name == "TIFF":
        return np.asarray(tifffile.imread(io.BytesIO(data)))
    flags = cv2.IMREAD_UNCHANGED | (cv2.IMREAD_IGNORE_ORIENTATION if name == "JPEG" else 0)
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert found is not None
    if found.ndim == 2:
        return np.asarray(found)
    if kind.channels == 1:
        return np.asarray(found[..., 0])
    if kind.channels == 2:  # OpenCV shows it as colour
        return np.asarray(found[..., [0, 3]])
    return np.asarray(found[..., [2, 1, 0, 3][: found.shape[2]]])


def file(kind: Kind, name: str, orientation: int | None) -> bytes:
    """A file of that kind, written by neither Pillow nor libvips."""
    values = pixels(kind)
    about = Metadata() if orientation is None else metadata(orientation)
    if name == "PNG":
        return into_png(png(values), about, has_profile=False)
    if name == "TIFF":
        photometric = "minisblack" if kind.channels < 3 else "rgb"
        extra = ["unassalpha"] if kind.has_alpha else None
        options = {"extrasamples": extra, "planarconfig": "contig" if kind.channels > 1 else None}
        tags = (
            [] if orientation is None else [(274, 3, 1, orientation, True), (315, 2, 0, "Ann Author", True)]
        )
        return tiff(values, photometric=photometric, extratags=tags, **options)
    order = values if kind.channels == 1 else values[..., [2, 1, 0, 3][: kind.channels]]
    done, data = cv2.imencode({"BMP": ".bmp", "PPM": ".ppm", "WEBP": ".webp", "JPEG": ".jpg"}[name], order)
    assert done
    return bytes(data.tobytes())


CORPUS = [
    (kind, name, orientation)
    for kind, name, orientation in product(KINDS, ("PNG", "TIFF"), (None, *TURNS))
    if not (name == "PNG" and kind.bits == FLOAT)
] + [
    (Kind(channels, bits), name, None)
    for name, kinds in {
        "BMP": [(1, 8), (3, 8)],
        "PPM": [(3, 8), (3, 16)],
        "WEBP": [(3, 8), (4, 8)],
        "JPEG": [(1, 8), (3, 8)],
    }.items()
    for channels, bits in kinds
]


@pytest.mark.parametrize(("kind", "name", "orientation"), CORPUS, ids=str)
def test_read_as_others_read_it(kind: Kind, name: str, orientation: int | None) -> None:
    data = file(kind, name, orientation)
    picture = read_picture(data)
    header = read_header(data)
    expected = by_others(data, name, kind)
    assert picture.kind == header.kind
    turned = np.rot90(expected, TURNS.get(orientation or 1, 0))
    tolerance = 2 if name == "JPEG" else 0
    assert picture.pixels.shape == turned.shape
    assert np.abs(picture.pixels.astype(np.float64) - turned).max() <= tolerance
    assert (b"Ann Author" in picture.metadata.exif) == (orientation is not None)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("form", WRITABLE, ids=lambda form: form.name)
@pytest.mark.parametrize("about", [False, True])
def test_written_as_others_read_it(kind: Kind, form: Format, about: bool) -> None:
    picture = Picture(pixels(kind), metadata=metadata(1) if about else Metadata())
    if not form.holds(kind, picture.size):
        return
    found = by_others(form.encode(picture), form.name, kind)
    difference = np.abs(found.astype(np.float64) - picture.pixels)
    assert difference.max() <= (4 if form.name == "JPEG" else 0)


def test_pages_of_all_kinds_as_others_read_them() -> None:
    pictures = [Picture(pixels(kind, seed), metadata=metadata(1)) for seed, kind in enumerate(KINDS)]
    data = BY_NAME["TIFF"].encode_pages(Pages(tuple(pictures)))
    with tifffile.TiffFile(io.BytesIO(data)) as found:
        for page, picture in zip(found.pages, pictures, strict=True):
            assert np.array_equal(page.asarray(), picture.pixels)
            assert page.tags["Artist"].value == "Ann Author"
    for back, picture in zip(read_pages(data).pictures, pictures, strict=True):
        assert np.array_equal(back.pixels, picture.pixels)


SMALL = {
    "PNG": into_png(png(pixels(Kind(4, 16))[:5, :6]), metadata(6), has_profile=False),
    "TIFF": into_tiff(
        (tiff(pixels(kind)[:5, :6], photometric="rgb", compression="deflate"), metadata(1))
        for kind in (Kind(3, 16), Kind(3, FLOAT))
    ),
    "planar": tiff(
        np.moveaxis(pixels(Kind(3, 16))[:5, :6], -1, 0), photometric="rgb", planarconfig="separate"
    ),
    "PPM": b"P6 6 5 1023\n" + bytes(180),
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([*SMALL]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_damage_is_survived_or_named(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL[name])
    for position, value in changes:
        data[position % len(data)] = value
    for read in (read_pages, read_picture):
        with suppress(ImageError):
            picture = read(bytes(data), max_pixels=10_000)
            if isinstance(picture, Picture):
                BY_NAME["PNG"].encode(replace(picture, pixels=np.nan_to_num(picture.pixels)))
