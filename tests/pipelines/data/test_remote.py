import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from full_disk import full
from pipelines.core.errors import DataError
from pipelines.data.remote import Remote, is_url


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.remote.fsspec_calls.PAUSES_S", (0.0, 0.0))


@pytest.fixture
def remote() -> Iterator[Remote]:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/photos/a/1.png": b"one", "/photos/ü 2.png": b"two", "/other/3.png": b"three"})
    yield Remote("memory://photos/")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("place", "url"), [("s3://bucket/x", True), ("memory://x", True), ("photos", False), ("C:/photos", False)]
)
def test_what_a_url_is(place: str, url: bool) -> None:
    assert is_url(place) == url


def test_files_are_named_below_the_url(remote: Remote) -> None:
    assert remote.list_files() == ["a/1.png", "ü 2.png"]
    assert Remote("memory://photos/a").list_files() == ["1.png"]


def test_bytes_and_ranges_of_them(remote: Remote) -> None:
    assert remote.read("a/1.png") == b"one"
    assert remote.read("ü 2.png", 1, 3) == b"wo"
    assert remote.nbytes("ü 2.png") == 3
    assert remote.nbytes("nothing.png") is None


def test_what_goes_up_comes_down(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"shard")
    new = Remote("memory://new/deep")
    new.upload(tmp_path / "up", "x.bin")
    new.download("x.bin", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == b"shard"


def test_a_folder_of_this_machine_has_a_url_too(tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"shard")
    Remote((tmp_path / "far").as_uri()).upload(tmp_path / "up", "x.bin")
    assert (tmp_path / "far" / "x.bin").read_bytes() == b"shard"


def test_a_call_that_fails_is_tried_again(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    good, calls = MemoryFileSystem.cat_file, list[str]()

    def flaky(self: Any, path: str, **options: Any) -> bytes:
        calls.append(path)
        if len(calls) < 3:
            raise ConnectionResetError("reset by peer")
        found: bytes = good(self, path, **options)
        return found

    monkeypatch.setattr(MemoryFileSystem, "cat_file", flaky)
    assert remote.read("a/1.png") == b"one"
    assert len(calls) == 3


def test_after_a_few_times_it_says_so(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> bytes:
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", broken)
    with pytest.raises(
        DataError,
        match="ConnectionResetError",
    ):
        remote.read("a/1.png")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_here_is_not_taken_for_the_network(
    remote: Remote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    calls = list[str]()

    def full(self: Any, path: str, *arguments: Any, **options: Any) -> None:
        calls.append(path)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(MemoryFileSystem, "get_file", full)
    with pytest.raises(DataError, match=str(tmp_path)):
        remote.download("a/1.png", tmp_path / "down")
    assert len(calls) == 1


def test_a_full_disk_under_a_url_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(LocalFileSystem, "put_file", full)
    (tmp_path / "up").write_bytes(b"shard")
    with pytest.raises(DataError, match=str(tmp_path / "far")):
        Remote((tmp_path / "far").as_uri()).upload(tmp_path / "up", "x.bin")


def test_a_missing_folder_or_file_is_an_error(remote: Remote) -> None:
    with pytest.raises(DataError, match="memory://nowhere"):
        Remote("memory://nowhere").list_files()
    with pytest.raises(DataError, match=r"memory://photos/9\.png"):
        remote.read("9.png")


def test_an_unknown_protocol_is_an_error() -> None:
    with pytest.raises(DataError, match="nosuch://x"):
        Remote("nosuch://x").list_files()


def test_a_protocol_whose_library_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(DataError, match=r"tunable-zoo\[s3\]"):
        Remote("s3://bucket").list_files()
