import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from full_disk import full
from pipelines.core.errors import DataError
from pipelines.data.photos import PhotoSet, write_photos

SIZES = {"a.png": (3, 5), "sub folder/ä.png": (1, 1), "b.png": (30, 1)}


@pytest.fixture
def pixels(paint: Any) -> dict[str, Any]:
    return {name: paint(i, *size) for i, (name, size) in enumerate(SIZES.items())}


@pytest.fixture
def photos(pixels: dict[str, Any], tmp_path: Path) -> PhotoSet:
    return write_photos(tmp_path / "set", pixels.items())


def shard(photos: PhotoSet) -> Path:
    [path] = photos.folder.glob("pixels-*.bin")
    return path


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
    one, two = ({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    assert len(one) == 2


def test_photographs_are_taken_one_at_a_time(paint: Any, tmp_path: Path) -> None:
    pixels = tmp_path / ".tmp-set-partial" / ".shard"

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
    path = shard(photos)
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="SHA-256"):
        PhotoSet.open(photos.folder).verify()


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_wrong_size_is_found_on_opening(photos: PhotoSet, change: Any) -> None:
    path = shard(photos)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match="138 bytes"):
        PhotoSet.open(photos.folder)


def test_a_missing_file_is_found_on_opening(photos: PhotoSet) -> None:
    for path in (shard(photos), photos.folder / "index.json"):
        path.unlink()
        with pytest.raises(DataError, match=path.name):
            PhotoSet.open(photos.folder)


def test_a_shard_that_shrinks_or_vanishes_later_is_an_error(photos: PhotoSet) -> None:
    before = photos[0]
    os.truncate(shard(photos), 100)
    with pytest.raises(DataError, match="138 bytes"):
        photos[0]
    shard(photos).unlink()
    with pytest.raises(DataError, match="pixels-"):
        photos[1]
    assert before.shape == (3, 5, 3)


def edit(index: dict[str, Any], **changes: Any) -> str:
    index["photos"][1] |= changes
    return json.dumps(index)


@pytest.mark.parametrize(
    "damage",
    [
        lambda index: "",
        lambda index: json.dumps(index)[:-9],
        lambda index: "[]",
        lambda index: json.dumps(index | {"schema": 1}),
        lambda index: json.dumps(index | {"photos": []}),
        lambda index: json.dumps(index | {"shards": []}),
        lambda index: json.dumps(index | {"sha256": "0" * 64}),
        lambda index: edit(index, shard=1),
        lambda index: edit(index, sha256="../../etc/passwd"),
        lambda index: edit(index, offset=137),
        lambda index: edit(index, offset=0),
        lambda index: edit(index, height=0),
        lambda index: edit(index, width="1"),
        lambda index: edit(index, name="a.png"),
    ],
)
def test_a_damaged_index_is_found_on_opening(photos: PhotoSet, damage: Any) -> None:
    path = photos.folder / "index.json"
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(DataError, match=r"tunable run prepare"):
        PhotoSet.open(photos.folder)


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got 0"):
        write_photos(tmp_path / "set", [])
    assert list(tmp_path.iterdir()) == []


def test_two_photographs_of_one_name_are_an_error(paint: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'x'"):
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


def test_large_sets_take_several_shards(pixels: dict[str, Any], tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "set", pixels.items(), shard_bytes=60)
    assert photos.shards == [0, 0, 1]
    assert len(list(photos.folder.glob("pixels-*.bin"))) == 2
    assert photos.sizes == list(SIZES.values())
    photos.verify()
    for got, wanted in zip(photos, pixels.values(), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_equal_shards_are_one_file(paint: Any, tmp_path: Path) -> None:
    photos = write_photos(
        tmp_path / "set", [("x", paint(0)), ("y", paint(0)), ("z", paint(1))], shard_bytes=1
    )
    assert photos.shards == [0, 1, 2]
    assert len(list(photos.folder.glob("pixels-*.bin"))) == 2
    assert photos.restrict_to([1, 2]).names == ["y", "z"]
    np.testing.assert_array_equal(PhotoSet.open(photos.folder)[0], paint(0))


def test_only_some_leaves_the_pixels_where_they_are(photos: PhotoSet, pixels: dict[str, Any]) -> None:
    path = shard(photos)
    inode = path.stat().st_ino
    some = photos.restrict_to([0, 2])
    assert some.names == ["a.png", "b.png"]
    np.testing.assert_array_equal(some[1], pixels["b.png"])
    assert path.stat().st_ino == inode
    some.verify()


def test_a_shard_of_none_goes(pixels: dict[str, Any], tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "set", pixels.items(), shard_bytes=60).restrict_to([2])
    assert photos.shards == [0]
    assert len(list(photos.folder.iterdir())) == 2
    np.testing.assert_array_equal(photos[0], pixels["b.png"])


def test_the_digest_follows_names_pixels_order_and_shards(paint: Any, tmp_path: Path) -> None:
    one, two = ("a", paint(0)), ("b", paint(1))
    digests = [
        write_photos(tmp_path / "set", photos, **options).index.sha256  # type: ignore[arg-type]
        for photos, options in [
            ([one, two], {}),
            ([two, one], {}),
            ([("c", paint(0)), two], {}),
            ([one, ("b", paint(2))], {}),
            ([one, two], {"shard_bytes": 1}),
        ]
    ]
    assert len(set(digests)) == 5


def test_picked_photographs_have_their_names(photos: PhotoSet, pixels: dict[str, Any]) -> None:
    for name, rgb in photos.pick([2, 0]):
        np.testing.assert_array_equal(rgb, pixels[name])


def test_an_empty_set_is_one_where_it_may_be(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "set", [], may_be_empty=True)
    assert (len(photos), photos.names, list(photos)) == (0, [], [])
    photos.verify()


def test_a_full_disk_is_an_error(paint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.data.shards.os.fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_photos(tmp_path / "set", [("x", paint(0))])
    assert list(tmp_path.iterdir()) == []
