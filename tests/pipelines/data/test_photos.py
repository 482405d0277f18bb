import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.data.photos import PhotoSet, write_photos
from pipelines.errors import DataError

SIZES = {"a.png": (3, 5), "sub folder/ä.png": (1, 1), "b.png": (30, 1)}


@pytest.fixture
def pixels(paint: Any) -> dict[str, Any]:
    return {name: paint(i, *size) for i, (name, size) in enumerate(SIZES.items())}


@pytest.fixture
def photos(pixels: dict[str, Any], tmp_path: Path) -> PhotoSet:
    return write_photos(tmp_path / "set", pixels.items())


def test_what_was_written_is_read(photos: PhotoSet, pixels: dict[str, Any]) -> None:
    assert photos.names == list(pixels)
    assert len(photos) == 3
    for got, wanted in zip(photos, pixels.values(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(photos[-1], pixels["b.png"])
    with pytest.raises(IndexError):
        photos[3]


def test_views_are_read_only_and_share_the_file(photos: PhotoSet) -> None:
    assert type(photos[0]) is np.ndarray
    assert not photos[0].flags.writeable
    assert not photos[0].flags.owndata


def test_pickles_as_its_folder(photos: PhotoSet) -> None:
    data = pickle.dumps(photos)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data)[0], photos[0])


def test_same_photographs_same_bytes(pixels: dict[str, Any], tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_photos(tmp_path / folder, pixels.items())
    for file in ("index.json", "pixels.bin"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_photographs_are_taken_one_at_a_time(paint: Any, tmp_path: Path) -> None:
    pixels = tmp_path / ".set.partial" / "pixels.bin"

    def stream() -> Iterator[tuple[str, Any]]:
        for i in range(3):
            yield f"{i}", paint(i, 400, 400)
            assert pixels.stat().st_size >= i * 400 * 400 * 3

    write_photos(tmp_path / "set", stream())


def test_strided_pixels_are_written_in_order(paint: Any, tmp_path: Path) -> None:
    flipped = paint(0)[::-1, ::2]
    np.testing.assert_array_equal(write_photos(tmp_path / "s", [("x", flipped)])[0], flipped)


def test_a_failing_stream_keeps_the_old_set(photos: PhotoSet, paint: Any) -> None:
    def stream() -> Iterator[tuple[str, Any]]:
        yield "new", paint(9)
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        write_photos(photos.folder, stream())
    PhotoSet.open(photos.folder).verify()
    assert list(photos.folder.parent.iterdir()) == [photos.folder]


def test_verify_finds_one_flipped_bit(photos: PhotoSet) -> None:
    photos.verify()
    path = photos.folder / "pixels.bin"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"SHA-256.*pipelines prepare"):
        PhotoSet.open(photos.folder).verify()


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_wrong_size_is_found_on_opening(photos: PhotoSet, change: Any) -> None:
    path = photos.folder / "pixels.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=r"expected 138 bytes in pixels.bin .*, got 13"):
        PhotoSet.open(photos.folder)


@pytest.mark.parametrize("file", ["index.json", "pixels.bin"])
def test_a_missing_file_is_found_on_opening(photos: PhotoSet, file: str) -> None:
    (photos.folder / file).unlink()
    with pytest.raises(DataError, match=file):
        PhotoSet.open(photos.folder)


def edit(index: dict[str, Any], **changes: Any) -> str:
    index["photos"][1] |= changes
    return json.dumps(index)


@pytest.mark.parametrize(
    "damage",
    [
        lambda index: "",
        lambda index: json.dumps(index)[:-9],
        lambda index: "[]",
        lambda index: json.dumps(index | {"schema": 2}),
        lambda index: json.dumps(index | {"photos": []}),
        lambda index: edit(index, offset=0),
        lambda index: edit(index, height=0),
        lambda index: edit(index, width="1"),
        lambda index: edit(index, name="a.png"),
    ],
)
def test_a_damaged_index_is_found_on_opening(photos: PhotoSet, damage: Any) -> None:
    path = photos.folder / "index.json"
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(DataError, match=r"pipelines prepare"):
        PhotoSet.open(photos.folder)


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got 0"):
        write_photos(tmp_path / "set", [])
    assert list(tmp_path.iterdir()) == []


def test_two_photographs_of_one_name_are_an_error(paint: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one name"):
        write_photos(tmp_path / "set", [("x", paint(0)), ("x", paint(1))])


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_pixels_are_an_error(pixels: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected"):
        write_photos(tmp_path / "set", [("x", pixels)])
