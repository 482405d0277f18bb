import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import zoo.storage
from waiting import UNREACHED_S
from zoo.entry import Entry
from zoo.errors import EntryExistsError, EntryNotFoundError, IntegrityError, ManifestError
from zoo.manifest import WEIGHTS, FileRecord, Manifest, content_version
from zoo.storage import HISTORY, Store

Content = tuple[dict[str, bytes], Manifest]


@pytest.fixture
def make(entry: Entry, tmp_path: Path) -> Callable[[str], Content]:
    """Publishable content that differs by its description; the store itself stays empty."""
    shutil.rmtree(tmp_path / "store")

    def make_(description: str = "", **changes: Any) -> Content:
        contents = {WEIGHTS: description.encode()}
        files = [FileRecord.of(path, data).model_dump() for path, data in contents.items()]
        manifest = entry.manifest.replace(description=description, files=files, **changes)
        return contents, manifest.replace(version=changes.get("version", content_version(manifest)))

    return make_


def test_publish_and_open(store: Store, make: Callable[..., Content]) -> None:
    contents, manifest = make("one")
    entry = store.publish(contents, manifest)
    assert entry == store.open("tiny") == store.open("tiny", manifest.version)
    assert entry.contents() == contents
    assert store.names() == ["tiny"]
    assert store.versions("tiny") == [manifest.version]
    assert store.aliases("tiny") == {"latest": manifest.version}


def test_an_empty_store_needs_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "nothing")
    assert store.names() == store.versions("tiny") == []
    with pytest.raises(EntryNotFoundError, match="no version of it"):
        store.open("tiny")


def written(path: Path) -> tuple[int, int]:
    """Which file it is and when it was written; when it was read is no change."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def test_publishing_again_changes_nothing_but_latest(store: Store, make: Callable[..., Content]) -> None:
    one = store.publish(*make("one"))
    store.publish(*make("two"))
    before = written(one.folder / "manifest.json")
    assert store.publish(*make("one", provenance={"commit": "later"})) == one
    assert written(one.folder / "manifest.json") == before
    assert store.open("tiny") == one
    assert len(store.versions("tiny")) == 2


def test_another_content_under_the_same_version_is_refused(
    store: Store, make: Callable[..., Content]
) -> None:
    store.publish(*make("one", version="1.0.0"))
    with pytest.raises(EntryExistsError, match="other content"):
        store.publish(*make("two", version="1.0.0"))
    assert store.open("tiny", "1.0.0").manifest.description == "one"


def test_publishing_over_a_damaged_version_says_so(store: Store, make: Callable[..., Content]) -> None:
    entry = store.publish(*make("one"))
    (entry.folder / WEIGHTS).write_bytes(b"ONE")
    with pytest.raises(IntegrityError, match="SHA-256"):
        store.publish(*make("one"))


def test_contents_must_be_those_of_the_manifest(store: Store, make: Callable[..., Content]) -> None:
    contents, manifest = make("one")
    for wrong in ({WEIGHTS: b"other"}, {}, {**contents, "more": b""}):
        with pytest.raises(IntegrityError, match="not those of its manifest"):
            store.publish(wrong, manifest)
    assert store.names() == []


def test_versions_are_in_order(store: Store, make: Callable[..., Content]) -> None:
    for version in ("0.10.0", "0.9.0", "1.0.0"):
        store.publish(*make(version, version=version))
    hashed = store.publish(*make("hash")).version
    assert store.versions("tiny") == [hashed, "0.9.0", "0.10.0", "1.0.0"]


def test_latest_without_alias_is_the_highest_semantic_version(
    store: Store, make: Callable[..., Content]
) -> None:
    for version in ("0.10.0", "0.9.0"):
        store.publish(*make(version, version=version))
    (store.root / "tiny" / "aliases.json").unlink()
    assert store.open("tiny").version == "0.10.0"


def test_latest_without_alias_among_hashes_is_unknown(store: Store, make: Callable[..., Content]) -> None:
    only = store.publish(*make("one")).version
    (store.root / "tiny" / "aliases.json").unlink()
    assert store.open("tiny").version == only
    store.publish(*make("two"))
    (store.root / "tiny" / "aliases.json").unlink()
    with pytest.raises(EntryNotFoundError, match=only):
        store.open("tiny")


def test_alias(store: Store, make: Callable[..., Content]) -> None:
    one = store.publish(*make("one"))
    store.alias("tiny", "stable", one.version)
    store.publish(*make("two"))
    assert store.open("tiny", "stable") == one
    assert sorted(store.aliases("tiny")) == ["latest", "stable"]


def test_bad_aliases_are_refused(store: Store, make: Callable[..., Content]) -> None:
    version = store.publish(*make("one")).version
    for alias in ("1.0.0", "0" * 16, "../x", "", "Stable"):
        with pytest.raises(ManifestError, match="expected an alias"):
            store.alias("tiny", alias, version)
    with pytest.raises(EntryNotFoundError, match=r"tiny@9\.9\.9"):
        store.alias("tiny", "stable", "9.9.9")


def test_an_alias_to_a_deleted_version_leads_nowhere(store: Store, make: Callable[..., Content]) -> None:
    one = store.publish(*make("one"))
    store.publish(*make("two"))
    store.alias("tiny", "stable", one.version)
    shutil.rmtree(one.folder)
    with pytest.raises(EntryNotFoundError, match="tiny@stable"):
        store.open("tiny", "stable")


@pytest.mark.parametrize(
    "data",
    [b'{"latest": ', b"[]", b'{"latest": "../x"}', b'{"latest": 1}', b'{"latest": "a", "latest": "b"}'],
)
def test_a_damaged_alias_file_is_named(store: Store, make: Callable[..., Content], data: bytes) -> None:
    version = store.publish(*make("one")).version
    (store.root / "tiny" / "aliases.json").write_bytes(data)
    with pytest.raises(ManifestError, match=r"aliases\.json"):
        store.open("tiny")
    assert store.open("tiny", version).version == version


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "A", ""])
def test_no_name_leads_out_of_the_root(store: Store, name: str) -> None:
    assert store.versions(name) == []
    for call in (store.aliases, lambda bad: store.path(bad, "1.0.0")):
        with pytest.raises(ManifestError, match="expected a name"):
            call(name)
    with pytest.raises(ManifestError, match="expected a content version"):
        store.path("tiny", "..")


def test_foreign_things_are_no_entries(store: Store, make: Callable[..., Content], tmp_path: Path) -> None:
    entry = store.publish(*make("one"))
    (store.root / "README.md").write_text("about")
    (store.root / ".tmp-1").mkdir()
    (store.root / "empty").mkdir()
    (store.root / "tiny" / ".tmp-2").mkdir()
    (store.root / "tiny" / "1.0.0").symlink_to(entry.folder)
    (store.root / "link").symlink_to(store.root / "tiny")
    assert store.names() == ["tiny"]
    assert store.versions("tiny") == [entry.version]


def test_an_entry_in_anothers_folder_is_refused(store: Store, make: Callable[..., Content]) -> None:
    entry = store.publish(*make("one"))
    shutil.copytree(entry.folder, store.root / "tiny" / "1.0.0")
    with pytest.raises(IntegrityError, match=f"holds tiny@{entry.version}"):
        store.open("tiny", "1.0.0")


def test_two_publishers_at_once(
    store: Store, make: Callable[..., Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.storage._LOCK_TIMEOUT_S", UNREACHED_S)
    jobs = [make(str(number % 3)) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        entries = list(pool.map(lambda job: store.publish(*job), jobs))
    assert len({entry.version for entry in entries}) == len(store.versions("tiny")) == 3
    assert all(store.open("tiny", entry.version).contents() for entry in entries)
    assert not list(store.root.rglob(".tmp-*"))


def test_a_publisher_that_loses_the_race_takes_the_winners_entry(
    store: Store, make: Callable[..., Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def race(source: Path, target: Path) -> None:
        shutil.copytree(source, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", race)
    assert store.publish(*make("one")).contents()
    assert not list(store.root.rglob(".tmp-*"))


def test_a_full_disk_leaves_the_store_as_it_was(
    store: Store, make: Callable[..., Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = store.publish(*make("one"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.publish(*make("two"))
    assert store.versions("tiny") == [one.version]
    assert not list(store.root.rglob(".tmp-*"))


class _Dead(BaseException):
    """The process is gone: nothing runs after it, not even cleaning up."""


@contextmanager
def _dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Die at the ``step``-th write, fsync, mkdir, rename or replace; a dying write leaves half its bytes."""
    steps = itertools.count()

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(steps) >= step:
                raise _Dead
            return function(*arguments, **options)

        return call

    def write(path: Path, data: bytes) -> None:
        if next(steps) >= step:
            path.write_bytes(data[: len(data) // 2])
            raise _Dead
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        for name in ("fsync", "rename", "replace", "mkdir", "unlink"):
            patch.setattr(os, name, mortal(getattr(os, name)))
        patch.setattr(shutil, "rmtree", mortal(shutil.rmtree))
        patch.setattr(zoo.storage, "write_file", write)
        patch.setattr(zoo.durable, "write_file", write)
        yield


@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_a_crash_at_any_step_leaves_the_old_or_the_new_state(
    store: Store, make: Callable[..., Content], monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    old = None if first else make("old")
    new = make("new")
    for step in itertools.count():
        shutil.rmtree(store.root, ignore_errors=True)
        if old:
            store.publish(*old)
        try:
            with _dying_at(step, monkeypatch):
                store.publish(*new)
            break
        except _Dead:
            pass
        versions = [content[1].version for content in (old, new) if content]
        assert set(store.versions("tiny")) <= set(versions)
        for version in store.versions("tiny"):
            assert store.open("tiny", version).contents()
        if old or store.names():
            assert store.open("tiny").version in versions
        assert store.publish(*new) == store.open("tiny")  # and a second try heals
    assert step > 8


def test_the_layout_on_disk(store: Store, make: Callable[..., Content]) -> None:
    entry = store.publish(*make("one"))
    assert entry.folder == store.root / "tiny" / entry.version
    assert json.loads((store.root / "tiny" / "aliases.json").read_bytes()) == {"latest": entry.version}
    assert sorted(os.listdir(entry.folder)) == ["manifest.json", WEIGHTS]


def test_moves_of_aliases_are_remembered(store: Store, publish: Callable[..., Entry]) -> None:
    one, two = publish(), publish(description="Other words.")
    store.alias("tiny", "stable", one.version)
    store.alias("tiny", "stable", one.version)  # no move
    store.alias("tiny", "stable", two.version)
    moves = [(move.alias, move.version) for move in store.alias_history("tiny")]
    first, second = one.version, two.version
    assert moves == [("latest", first), ("latest", second), ("stable", first), ("stable", second)]
    times = [move.time for move in store.alias_history("tiny")]
    assert times == sorted(times)
    assert all(time.endswith("+00:00") for time in times)
    assert store.alias_history("huge") == []
    (store.root / "tiny" / HISTORY).write_text('[{"alias": 1}]')
    with pytest.raises(ManifestError, match="delete it to begin anew"):
        store.alias_history("tiny")
