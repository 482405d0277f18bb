import fcntl
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipelines.core.errors import DataError
from pipelines.data.index import Index, Photo, Shard, map_file

A, B = "a" * 64, "b" * 64


def photo(name: str, shard: int = 0, offset: int = 0, **changes: Any) -> Photo:
    values = {"name": name, "height": 2, "width": 5, "shard": shard, "offset": offset, "sha256": A}
    return Photo(**values | changes)


SHARDS = [Shard(sha256=A, nbytes=60), Shard(sha256=B, nbytes=30)]


def test_shards_of_no_photograph_are_left_out() -> None:
    index = Index.of([photo("x", shard=1)], SHARDS, None)
    assert index.shards == [SHARDS[1]]
    assert index.photos[0].shard == 0


def test_gaps_are_no_fault() -> None:
    index = Index.of([photo("y", offset=30)], SHARDS, None)
    assert index.photos[0].end == 60


def test_where_shards_lie_is_no_part_of_the_digest() -> None:
    photos = [photo("x"), photo("y", offset=30)]
    assert Index.of(photos, SHARDS, None).sha256 == Index.of(photos, SHARDS, "s3://bucket").sha256


def test_a_json_round_trip() -> None:
    index = Index.of([photo("ü"), photo("y", shard=1)], SHARDS, "s3://bucket")
    assert Index.model_validate_json(index.model_dump_json(by_alias=True)) == index


def test_a_name_that_comes_twice_is_named() -> None:
    with pytest.raises(DataError, match="'x'"):
        Index.of([photo("x"), photo("x", offset=30)], SHARDS, None)


@pytest.mark.parametrize(
    ("photos", "reason"),
    [
        ([photo("x"), photo("y", offset=29)], "overlap"),
        ([photo("x", offset=31)], "after the end"),
        ([photo("x", shard=1), photo("y", shard=1)], "overlap"),
    ],
)
def test_photographs_that_do_not_fit_their_shards_are_refused(photos: list[Photo], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Index.of(photos, SHARDS, None)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "a" * 63, ""])
def test_a_shard_is_named_by_a_digest_and_nothing_else(name: str) -> None:
    with pytest.raises(ValidationError):
        Shard(sha256=name, nbytes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pixels.bin"
    path.write_bytes(bytes(range(200)))
    return path


def is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_bytes_of_the_file_are_read_only(path: Path) -> None:
    found = map_file(path, 200)
    np.testing.assert_array_equal(found, np.arange(200))
    assert not found.flags.writeable
    assert not is_locked(path)


def test_the_lock_lasts_as_long_as_a_view(path: Path) -> None:
    view = map_file(path, 200, lock=True)[10:20]
    assert is_locked(path)
    assert view.tolist() == list(range(10, 20))
    del view
    assert not is_locked(path)


def test_what_is_mapped_outlives_its_name(path: Path) -> None:
    found = map_file(path, 200)
    path.unlink()
    assert found[199] == 199


def test_a_file_of_another_size_is_an_error(path: Path) -> None:
    os.truncate(path, 150)
    with pytest.raises(DataError, match=r"pixels\.bin"):
        map_file(path, 200)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        map_file(tmp_path / "none", 1)


def test_open_files_do_not_pile_up(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(2000):
        map_file(path, 200)
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1
