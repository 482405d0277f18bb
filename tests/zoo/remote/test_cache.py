"""A shared cache below the user's own, and caches that cannot be written."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from zoo.entry import Entry
from zoo.errors import FetchError
from zoo.manifest import WEIGHTS
from zoo.remote.cache import CACHE_VARIABLE, SHARED_VARIABLE, Cache
from zoo.remote.remote_zoo import RemoteZoo
from zoo.remote.sources import add_source


@pytest.fixture
def shared(entry: Entry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache into which somebody pulled ``tiny`` for all; it is read beside an empty one of this user."""
    RemoteZoo(str(folder)).push(entry, ["latest", "stable"])
    shared = tmp_path / "for-all"
    with monkeypatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(shared))
        RemoteZoo(str(folder)).pull("tiny", "stable")
    monkeypatch.setenv(SHARED_VARIABLE, str(shared))
    add_source("team", str(folder))
    return shared


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    status = {str(path): path.stat() for path in root.rglob("*")}
    return {path: (item.st_mtime_ns, item.st_size) for path, item in status.items()}


def test_what_is_in_the_shared_cache_is_at_hand(
    shared: Path, entry: Entry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(shared)
    found = RemoteZoo(str(folder)).pull("tiny")
    assert found.folder.is_relative_to(shared)
    for path in folder.iterdir():
        path.unlink()
    for ref in ("tiny", "tiny@stable", f"tiny@{entry.version}"):
        opened = zoo.resolve(ref)
        assert opened.folder.is_relative_to(shared)
        assert opened.contents() == entry.contents()
    assert zoo.load("tiny").version == entry.version
    assert "tiny" in [model.name for model in zoo.list_models()]
    assert snapshot(shared) == before
    assert not list((tmp_path / "cache").rglob(WEIGHTS))
    monkeypatch.delenv(SHARED_VARIABLE)
    with pytest.raises(zoo.ZooError):
        zoo.resolve("tiny")


def test_deprecations_of_the_shared_cache_are_read_until_the_user_pulls(
    shared: Path, entry: Entry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteZoo(str(folder))
    remote.deprecate("tiny", "stable", "Too small.")
    with monkeypatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(shared))
        RemoteZoo(str(folder)).pull("tiny")
    before = snapshot(shared)
    found = zoo.resolve("tiny").deprecated
    assert [found and found.reason] == ["Too small."]
    remote.deprecate("tiny", "stable", "")
    assert RemoteZoo(str(folder)).pull("tiny").deprecated is None
    assert zoo.resolve("tiny").deprecated is None
    assert snapshot(shared) == before


def test_files_of_the_shared_cache_are_not_fetched(
    shared: Path, entry: Entry, folder: Path, publish: Callable[..., Entry]
) -> None:
    other = publish(description="The same weights.")
    RemoteZoo(str(folder)).push(other)
    [weights] = [record.sha256 for record in entry.manifest.files if record.path == WEIGHTS]
    (folder / weights).unlink()
    pulled = RemoteZoo(str(folder)).pull("tiny")
    assert pulled.manifest == other.manifest
    assert not pulled.folder.is_relative_to(shared)
    assert pulled.contents() == other.contents()


def test_damage_in_the_shared_cache_is_worked_around(shared: Path, entry: Entry, folder: Path) -> None:
    [weights] = [record.sha256 for record in entry.manifest.files if record.path == WEIGHTS]
    (shared / "files" / weights).write_bytes(b"other")  # the entry's file is a link to it
    before = snapshot(shared)
    with pytest.raises(zoo.IntegrityError):
        zoo.load("tiny")
    pulled = zoo.pull("tiny")
    assert not pulled.folder.is_relative_to(shared)
    assert pulled.contents() == entry.contents()
    assert zoo.load("tiny").version == entry.version
    assert snapshot(shared) == before
    assert Cache.of_user().list_unused() == []


def test_another_manifest_in_the_shared_cache_is_worked_around(
    shared: Path, entry: Entry, folder: Path, publish: Callable[..., Entry]
) -> None:
    promoted = zoo.promote("tiny", "1.0.0", target=zoo.Store(folder.with_name("own")))
    RemoteZoo(str(folder)).push(promoted)
    RemoteZoo(str(folder), Cache(shared)).pull("tiny")
    [manifest] = shared.rglob("pulled/*/tiny/1.0.0/manifest.json")
    manifest.write_bytes(promoted.manifest.replace(description="Other.").to_bytes())
    assert zoo.pull("tiny").manifest == promoted.manifest
    assert zoo.resolve("tiny").manifest == promoted.manifest


def test_aliases_of_what_has_left_the_shared_cache(shared: Path, entry: Entry, folder: Path) -> None:
    RemoteZoo(str(folder)).push(entry, ["newest"])
    assert zoo.resolve("tiny@newest").folder.is_relative_to(shared)
    shutil.rmtree(shared / "pulled")
    assert zoo.resolve("tiny@newest").contents() == entry.contents()


def test_where_all_is_in_the_shared_cache_nothing_is_written(
    shared: Path, entry: Entry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    assert RemoteZoo(str(folder)).pull("tiny").contents() == entry.contents()
    RemoteZoo(str(folder)).push(entry, ["newest"])
    with pytest.raises(FetchError, match=f"into the cache {tmp_path}/file/cache"):
        RemoteZoo(str(folder)).pull("tiny", "newest")


def test_a_cache_that_cannot_be_written_is_named(
    entry: Entry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RemoteZoo(str(folder)).push(entry)
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(FetchError, match=f"into the cache {tmp_path}/file/cache, got: .*{CACHE_VARIABLE}"):
        RemoteZoo(str(folder)).pull("tiny")


def test_an_index_may_be_read_where_nothing_can_be_written(entry: Entry, folder: Path) -> None:
    RemoteZoo(str(folder)).push(entry)
    index = RemoteZoo(str(folder), Cache(Path(os.devnull) / "cache")).read_index()
    assert json.loads(index.to_bytes())["models"].keys() == {"tiny"}
