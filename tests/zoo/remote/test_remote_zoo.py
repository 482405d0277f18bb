"""Zoos elsewhere: what is pushed is pulled, whatever servers and publishers do in between."""

import errno
import hashlib
import io
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fsspec.implementations.memory import MemoryFileSystem

import zoo
from file_server import Fault, FileServer, closed_port, serving
from no_network import go_offline
from zoo.durable import TEMPORARY
from zoo.entry import Entry
from zoo.errors import (
    EntryExistsError,
    EntryNotFoundError,
    FetchError,
    IntegrityError,
    ManifestError,
    ZooError,
)
from zoo.manifest import MANIFEST, WEIGHTS
from zoo.remote import files as remote_files
from zoo.remote.cache import Cache
from zoo.remote.download import download
from zoo.remote.remote_zoo import RemoteZoo
from zoo.remote.sources import Source, add_source, list_sources, remove_source

pytestmark = pytest.mark.server


@pytest.fixture
def server(folder: Path, entry: Entry) -> Iterator[FileServer]:
    """The zoo of a folder behind a web server; of its files, those that were there at the start."""
    RemoteZoo(str(folder)).push(entry)
    with serving() as server:
        server.files = contents(folder)
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(pulled: Entry, entry: Entry) -> bool:
    return pulled.manifest == entry.manifest and pulled.contents() == entry.contents()


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_what_is_pushed_is_pulled(scheme: str, entry: Entry, folder: Path, tmp_path: Path) -> None:
    MemoryFileSystem.store.clear()
    url = f"{scheme}{folder}"
    RemoteZoo(url).push(entry, ["latest", "stable"])
    for selector in ("latest", "stable", entry.version):
        assert same(RemoteZoo(url, Cache(tmp_path / selector)).pull("tiny", selector), entry)
    assert RemoteZoo(url).read_index().models["tiny"].aliases == dict.fromkeys(
        ("latest", "stable"), entry.version
    )


def test_a_static_server_is_a_zoo(server: FileServer, entry: Entry) -> None:
    progress: list[tuple[int, int]] = []
    pulled = RemoteZoo(server.url).pull("tiny", on_progress=lambda *state: progress.append(state))
    assert same(pulled, entry)
    whole = sum(file.size for file in entry.manifest.files)
    assert progress[0] == (0, whole)
    assert progress[-1] == (whole, whole)
    asked = len(server.requests)
    assert RemoteZoo(server.url).pull("tiny") == pulled
    assert [path for path, _ in server.requests[asked:]] == ["/index.json"]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("of the caller's own connection"),
        requests.ConnectionError("likewise"),
        OSError(errno.ENOSPC, "of another disk"),
        ValueError("of the caller"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("scheme", ["memory", "http"])
def test_what_a_callback_raises_is_raised_at_once(
    scheme: str, error: BaseException, server: FileServer, entry: Entry, folder: Path, tmp_path: Path
) -> None:
    MemoryFileSystem.store.clear()
    RemoteZoo("memory://zoo").push(entry)
    calls = list[int]()

    def fail(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 2:
            raise error

    remote = RemoteZoo("memory://zoo" if scheme == "memory" else server.url)
    with pytest.raises(type(error)) as told:
        remote.pull("tiny", on_progress=fail)
    assert (told.value, told.value.__context__) == (error, None)
    assert len(calls) == 2
    assert remote.store.versions("tiny") == []
    held = {path.name for path in remote.cache.files.iterdir()}
    assert not held & {record.sha256 for record in entry.manifest.files}
    assert not [name for name in held if name.startswith(TEMPORARY)]
    assert same(remote.pull("tiny"), entry)


def test_a_name_is_looked_for_in_the_sources(server: FileServer, entry: Entry, tmp_path: Path) -> None:
    RemoteZoo(str(tmp_path / "empty")).push(entry)
    index = tmp_path / "empty" / "index.json"
    index.write_text(json.dumps({"schema_version": 1, "models": {}}))
    with pytest.raises(EntryNotFoundError):
        zoo.resolve("tiny")
    add_source("empty", str(tmp_path / "empty"))
    add_source("team", server.url)
    assert list(list_sources()) == ["empty", "team"]
    assert same(zoo.resolve("tiny@latest"), entry)
    asked = len(server.requests)
    assert zoo.load("tiny").version == entry.version
    assert [found.name for found in zoo.list_models(task="denoise") if found.name == "tiny"] == ["tiny"]
    assert len(server.requests) == asked
    remove_source("team")
    with pytest.raises(EntryNotFoundError):
        zoo.resolve("tiny")
    with pytest.raises(ManifestError, match="there are empty"):
        remove_source("team")


def test_models_are_found_here_and_there(
    server: FileServer, store: zoo.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_source("team", server.url)

    def found(text: str = "", **options: Any) -> list[tuple[str, str]]:
        return [(model.name, model.url) for model in zoo.search_models(text, **options)]

    assert ("tiny", server.url) in found()
    assert ("denoise", "") in found()
    assert found("TINY") == found("sigma", control="sigma") == [("tiny", server.url)]
    assert found("tiny", task="deblur") == found("tiny", max_bytes=10) == found("tiny", license="MIT") == []
    zoo.resolve("tiny")
    assert found("tiny") == [("tiny", "")]
    go_offline(monkeypatch)
    server.requests.clear()
    assert found("tiny") == [("tiny", "")]
    assert server.requests == []


def test_what_is_deprecated_is_not_found(
    folder: Path, entry: Entry, publish: Callable[..., Entry], caplog: pytest.LogCaptureFixture
) -> None:
    remote = RemoteZoo(str(folder))
    remote.push(entry, ["stable"])
    add_source("team", str(folder))
    assert remote.deprecate("tiny", "stable", "Too small", replacement="large")
    assert zoo.search_models("tiny") == []
    assert same(zoo.resolve("tiny@stable"), entry)
    assert "deprecated: Too small; use large" in caplog.text
    remote.push(publish(description="Another."))  # which leaves it as it is
    assert remote.read_index().models["tiny"].versions[entry.version].deprecated is not None
    before = contents(folder)
    remote.deprecate("tiny", "stable", "Too small", replacement="large")
    assert contents(folder) == before
    remote.deprecate("tiny", "stable", "")
    assert remote.read_index().models["tiny"].versions[entry.version].deprecated is None
    with pytest.raises(EntryNotFoundError, match=r"has no tiny@9\.9\.9"):
        remote.deprecate("tiny", "9.9.9", "Old.")
    with pytest.raises(FetchError, match="expected a zoo"):
        RemoteZoo(str(folder.with_name("none"))).deprecate("tiny", "stable", "Old.")


def test_what_was_pulled_stays_deprecated(
    folder: Path, entry: Entry, publish: Callable[..., Entry], caplog: pytest.LogCaptureFixture
) -> None:
    remote, notice = RemoteZoo(str(folder)), f"tiny@{entry.version} is deprecated: Too small; use large"
    remote.push(entry)
    add_source("team", str(folder))
    zoo.pull("tiny")
    remote.deprecate("tiny", "latest", "Too small.", replacement="large")
    assert zoo.resolve("tiny").deprecated is None  # what is at hand asks no other machine
    remote.push(publish(description="Another."))
    zoo.pull("tiny")  # the other one
    assert caplog.text == ""
    for ref in (f"tiny@{entry.version}", f"{folder}/tiny@{entry.version}"):
        caplog.clear()
        assert zoo.load(ref).version == entry.version
        assert caplog.messages.count(notice) == 1
    why = zoo.resolve(f"tiny@{entry.version}").deprecated
    assert (why and why.reason, why and why.replacement) == ("Too small.", "large")
    caplog.clear()
    assert zoo.resolve("tiny").deprecated is None
    remote.deprecate("tiny", entry.version, "")
    zoo.pull("tiny")
    assert zoo.resolve(f"tiny@{entry.version}").deprecated is None
    assert caplog.text == ""


def test_damaged_deprecations_are_told(folder: Path, entry: Entry) -> None:
    remote = RemoteZoo(str(folder))
    remote.push(entry)
    path = remote.pull("tiny").folder.with_name("deprecations.json")
    path.write_text('{"1.0.0": "Old."}')
    with pytest.raises(ManifestError, match=str(path)):
        remote.store.open("tiny")


def test_moves_of_aliases_are_remembered(folder: Path, publish: Callable[..., Entry]) -> None:
    remote, versions = RemoteZoo(str(folder)), []
    for words in ("One.", "Two.", "Two."):
        entry = publish(description=words)
        remote.push(entry, ["stable"])
        versions.append(entry.version)
    history = remote.read_index().models["tiny"].history
    assert [(move.alias, move.version) for move in history] == [("stable", each) for each in versions[:2]]


def test_an_address_is_a_reference(server: FileServer, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert same(zoo.resolve(f"{server.url}/tiny@{entry.version}"), entry)
    with pytest.raises(EntryNotFoundError, match=f"^{server.url} has no tiny@9.9.9; it has {entry.version}"):
        zoo.resolve(f"{server.url}/tiny@9.9.9")
    go_offline(monkeypatch)
    server.requests.clear()
    assert same(zoo.resolve(f"{server.url}/tiny"), entry)
    for ref in (f"{server.url}/tiny@9.9.9", f"{server.url}/other"):
        with pytest.raises(EntryNotFoundError, match="TUNABLE_OFFLINE is set"):
            zoo.resolve(ref)
    assert server.requests == []


def test_offline_nothing_is_asked(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)
    with pytest.raises(FetchError, match="TUNABLE_OFFLINE"):
        RemoteZoo(server.url).pull("tiny")
    with pytest.raises(FetchError, match="TUNABLE_OFFLINE"):
        download(f"{server.url}/index.json", Path("x"))
    assert server.requests == []


def test_a_source_that_fails_does_not_hide_the_next(
    server: FileServer, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    with closed_port() as port:
        add_source("dead", f"http://127.0.0.1:{port}")
        add_source("team", server.url)
        assert "denoise" in [model.name for model in zoo.search_models("")]
        assert same(zoo.resolve("tiny"), entry)
        assert f"127.0.0.1:{port}" in caplog.text
        with pytest.raises(FetchError, match=f"127.0.0.1:{port}"):
            zoo.resolve("huge")


def test_damaged_sources_leave_what_is_at_hand(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    add_source("team", str(tmp_path))
    path = tmp_path / "config" / "sources.json"
    path.rename(tmp_path / "dotfile")
    path.symlink_to(tmp_path / "dotfile")
    assert list_sources() == {"team": Source(str(tmp_path))}
    path.write_text("{")
    assert zoo.resolve("denoise").name == "denoise"
    assert "add the sources again" in caplog.text


@pytest.mark.parametrize("ref", ["memory://tiny", "memory://zoo/Tiny", "https://", "https://host//"])
def test_what_is_no_address_of_an_entry_is_refused(ref: str) -> None:
    with pytest.raises(EntryNotFoundError, match="expected URL/name"):
        zoo.resolve(ref)


def test_folders_are_told_apart(
    publish: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        RemoteZoo("zoo").push(publish(description=name))
        assert RemoteZoo("./zoo/").pull("tiny").manifest.description == name


def test_a_version_that_is_another_there_is_told(server: FileServer, publish: Callable[..., Entry]) -> None:
    forge(server, lambda manifest: None)
    for _ in range(2):
        assert RemoteZoo(server.url).pull("tiny").version == "1.0.0"
    forge(server, lambda manifest: manifest.update(description="Rebuilt."))
    with pytest.raises(IntegrityError, match="prune --all"):
        RemoteZoo(server.url).pull("tiny")


@pytest.mark.parametrize("file", [WEIGHTS, MANIFEST])
def test_a_damaged_entry_is_pulled_again(file: str, server: FileServer, entry: Entry) -> None:
    pulled = RemoteZoo(server.url).pull("tiny")
    (pulled.folder / file).write_bytes(b"other")
    assert same(RemoteZoo(server.url).pull("tiny"), entry)


def test_what_is_newest_is_asked_there(folder: Path, publish: Callable[..., Entry]) -> None:
    remote = RemoteZoo(str(folder))
    add_source("team", str(folder))
    one, two, three = (publish(description=str(number)) for number in range(3))
    for each in (one, two, three):
        remote.push(each, ["stable"])
    for each in (one, two):
        remote.pull("tiny", each.version)
    with pytest.raises(EntryNotFoundError, match="has no tiny@latest"):
        zoo.resolve("tiny")
    remote.push(two)
    assert zoo.resolve("tiny").version == two.version
    assert zoo.resolve("tiny@stable").version == three.version


@pytest.mark.parametrize("alias", ["1.1.0", "Stable", "a" * 16, "../x"])
def test_an_alias_that_is_none_is_not_pushed(alias: str, folder: Path, entry: Entry) -> None:
    with pytest.raises(ManifestError, match="expected an alias"):
        RemoteZoo(str(folder)).push(entry, [alias])
    assert not folder.exists()


def test_the_same_content_of_another_origin_is_the_same(
    folder: Path, entry: Entry, publish: Callable[..., Entry]
) -> None:
    remote = RemoteZoo(str(folder))
    remote.push(entry)
    shutil.rmtree(entry.folder)
    again = publish(provenance={"host": "elsewhere"})
    assert again.version == entry.version
    remote.push(again)
    assert remote.pull("tiny").manifest == entry.manifest


def test_a_push_mends_a_damaged_file(folder: Path, entry: Entry) -> None:
    remote = RemoteZoo(str(folder))
    remote.push(entry)
    path = folder / weights_name(entry)
    path.write_bytes(bytes(path.stat().st_size))
    remote.push(entry)
    assert same(remote.pull("tiny"), entry)


def test_what_later_versions_say_stays(folder: Path, entry: Entry, publish: Callable[..., Entry]) -> None:
    remote = RemoteZoo(str(folder))
    remote.push(entry)
    path = folder / "index.json"
    index = json.loads(path.read_text()) | {"motto": "x"}
    index["models"]["tiny"]["owner"] = "team"
    index["models"]["tiny"]["versions"][entry.version]["license"]["url"] = "https://host"
    path.write_text(json.dumps(index))
    remote.push(publish(description="next"))
    after = json.loads(path.read_text())
    assert (after["motto"], after["models"]["tiny"]["owner"]) == ("x", "team")
    assert after["models"]["tiny"]["versions"][entry.version]["license"]["url"] == "https://host"


def test_versions_share_files(
    folder: Path, entry: Entry, publish: Callable[..., Entry], tmp_path: Path
) -> None:
    other = publish(description="The same weights.")
    cache = Cache(tmp_path / "cache")
    for each in (entry, other):
        RemoteZoo(str(folder)).push(each)
        RemoteZoo(str(folder), cache).pull("tiny", each.version)
    [weights] = [record.sha256 for record in entry.manifest.files if record.path == WEIGHTS]
    assert (cache.files / weights).stat().st_nlink == 3
    assert cache.list_unused() == []
    for name in (f"{weights}.part", ".tmp-killed"):
        (cache.files / name).touch()
    (cache.store_of(RemoteZoo(str(folder)).url).root / "tiny" / ".tmp-killed").mkdir()
    assert sorted(cache.prune()) == [".tmp-killed", ".tmp-killed", f"{weights}.part"]
    assert cache.list_unused() == []


def test_one_version_is_never_two(folder: Path, entry: Entry, publish: Callable[..., Entry]) -> None:
    remote = RemoteZoo(str(folder))
    promoted = zoo.promote("tiny", "1.0.0", target=entry_store(entry), stores=[entry_store(entry)])
    remote.push(promoted)
    before = contents(folder)
    remote.push(promoted)
    assert contents(folder) == before
    other = promoted.manifest.replace(description="Other words.")
    shutil.rmtree(promoted.folder)
    changed = entry_store(entry).publish(promoted_contents(entry), other)
    with pytest.raises(EntryExistsError, match="other content"):
        remote.push(changed)
    assert contents(folder) == before


def entry_store(entry: Entry) -> zoo.Store:
    return zoo.Store(entry.folder.parents[1])


def promoted_contents(entry: Entry) -> dict[str, bytes]:
    return entry.contents()


def test_publishers_do_not_lose_each_other_s_entries(folder: Path, publish: Callable[..., Entry]) -> None:
    entries = [publish(description=str(number)) for number in range(6)]
    threads = [
        threading.Thread(target=RemoteZoo(str(folder)).push, args=(each,), daemon=True) for each in entries
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    model = RemoteZoo(str(folder)).read_index().models["tiny"]
    assert set(model.versions) == {each.version for each in entries}


def test_a_damaged_entry_is_not_pushed(folder: Path, entry: Entry) -> None:
    (entry.folder / WEIGHTS).write_bytes(b"other")
    with pytest.raises(IntegrityError):
        RemoteZoo(str(folder)).push(entry)
    assert not folder.exists()


def test_the_web_is_read_only(server: FileServer, entry: Entry) -> None:
    server.files = {}
    with pytest.raises(FetchError, match="push to the folder or bucket"):
        RemoteZoo(server.url).push(entry)


FLIPPED = "one bit of the weights"
INDEX_FAULTS: dict[str, tuple[Fault, type[ZooError], str]] = {
    "no zoo": (Fault(status=404), FetchError, "found no index.json"),
    "forbidden": (Fault(status=403), FetchError, "403"),
    "a page": (Fault(body=b"<html>Log in"), ManifestError, "web page"),
    "half": (Fault(body=b'{"schema_version": 1, "mod'), ManifestError, "well-formed JSON"),
    "a list": (Fault(body=b"[]"), ManifestError, "schema_version"),
    "newer": (Fault(body=b'{"schema_version": 2}'), ManifestError, "upgrade"),
    "twice": (Fault(body=b'{"schema_version": 1, "schema_version": 1}'), ManifestError, "twice"),
    "deep": (Fault(body=b'{"schema_version": ' + b"[" * 100_000), ManifestError, "JSON"),
    "large": (Fault(body=b" " * (2**24 + 1)), ManifestError, "at most"),
    "escape": (
        Fault(body=b'{"schema_version": 1, "models": {"../x": {"versions": {}}}}'),
        ManifestError,
        "models",
    ),
    "elsewhere": (Fault(status=302, headers={"Location": "file:///etc/passwd"}), FetchError, "InvalidSchema"),
}


@pytest.mark.parametrize("name", INDEX_FAULTS)
def test_what_is_no_index_is_refused(name: str, server: FileServer, tmp_path: Path) -> None:
    fault, kind, message = INDEX_FAULTS[name]
    server.faults = [fault] * 5
    with pytest.raises(kind, match=message):
        RemoteZoo(server.url).pull("tiny")
    assert not list((tmp_path / "cache").rglob("*"))


def forge(server: FileServer, change: Callable[[dict[str, Any]], None], version: str = "1.0.0") -> None:
    """Serve another manifest, and an index that vouches for it under that version."""
    index = json.loads(server.files["index.json"])
    [said] = index["models"]["tiny"]["versions"].values()
    manifest = json.loads(server.files[said["sha256"]]) | {"version": version}
    change(manifest)
    data = json.dumps(manifest).encode()
    said["sha256"], said["manifest_bytes"] = hashlib.sha256(data).hexdigest(), len(data)
    index["models"]["tiny"] = {"versions": {version: said}, "aliases": {"latest": version}}
    server.files |= {said["sha256"]: data, "index.json": json.dumps(index).encode()}


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], None], type[ZooError], str]] = {
    "another name": (lambda m: m.update(name="other"), IntegrityError, "index is damaged"),
    "another version": (lambda m: m.update(version="2.0.0"), IntegrityError, "index is damaged"),
    "newer": (lambda m: m.update(schema_version=2), ManifestError, "upgrade"),
    "a path": (lambda m: m["files"][0].update(path="../../x"), ManifestError, "plain file name"),
    "an absolute path": (lambda m: m["files"][0].update(path="/etc/x"), ManifestError, "plain file name"),
    "a drive": (lambda m: m["files"][0].update(path="C:x"), ManifestError, "plain file name"),
    "a NUL": (lambda m: m["files"][0].update(path="x\0"), ManifestError, "plain file name"),
    "case": (lambda m: m["files"].append(m["files"][0] | {"path": "readme.md"}), ManifestError, "case"),
    "a manifest": (lambda m: m["files"][0].update(path="manifest.json"), ManifestError, "manifest.json"),
    "a giant": (lambda m: m["architecture"]["config"].update(width=10**9), ManifestError, "parameters|width"),
    "a library": (lambda m: m.update(library={"lowest": "99.0.0"}), ManifestError, "99.0.0 or later"),
    "other code": (lambda m: m["architecture"].update(id="os.system"), ManifestError, "os.system"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_manifest_brings_no_weights(name: str, server: FileServer, tmp_path: Path) -> None:
    change, kind, message = FORGERIES[name]
    forge(server, change)
    assert_only_a_manifest_comes(server, tmp_path, "1.0.0", kind, message)


def test_a_content_version_is_that_of_its_content(server: FileServer, entry: Entry, tmp_path: Path) -> None:
    forge(server, lambda manifest: manifest.update(description="Edited."), entry.version)
    assert_only_a_manifest_comes(server, tmp_path, entry.version, IntegrityError, "edited")


def assert_only_a_manifest_comes(
    server: FileServer, tmp_path: Path, version: str, kind: type[ZooError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        RemoteZoo(server.url).pull("tiny", version)
    assert [path.name for path in (tmp_path / "cache" / "files").glob("[!.]*")] == [index_digest(server)]
    assert RemoteZoo(server.url).store.names() == []


def index_digest(server: FileServer) -> str:
    [said] = json.loads(server.files["index.json"])["models"]["tiny"]["versions"].values()
    digest: str = said["sha256"]
    return digest


def weights_name(entry: Entry) -> str:
    [name] = [record.sha256 for record in entry.manifest.files if record.path == WEIGHTS]
    return name


FILE_FAULTS = {
    "flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "short": lambda data: data[:-1],
    "long": lambda data: data + b"x",
    "pickle": lambda data: b"\x80\x04\x95",
    "page": lambda data: b"<html>Log in",
}


@pytest.mark.parametrize("name", FILE_FAULTS)
@pytest.mark.parametrize("scheme", ["http", "folder"])
def test_other_bytes_than_promised_are_refused(
    name: str, scheme: str, server: FileServer, entry: Entry, folder: Path
) -> None:
    digest = weights_name(entry)
    wrong = FILE_FAULTS[name](server.files[digest])
    server.files[digest] = wrong
    (folder / digest).write_bytes(wrong)
    url = server.url if scheme == "http" else str(folder)
    with pytest.raises(FetchError):
        RemoteZoo(url).pull("tiny")
    assert RemoteZoo(url).store.names() == []
    server.files[digest] = (entry.folder / WEIGHTS).read_bytes()
    (folder / digest).write_bytes(server.files[digest])
    assert same(RemoteZoo(url).pull("tiny"), entry)


@pytest.mark.parametrize("cut", [0, 256, 2048])
def test_a_pull_goes_on_where_one_ended(
    server: FileServer, entry: Entry, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.remote.download.CHUNK_BYTES", 256)
    before = [record.path for record in entry.manifest.files].index(WEIGHTS)
    # The index and the manifest come first.
    server.faults = [*[Fault()] * (2 + before), Fault(cut=cut), *[Fault(status=503)] * 9]
    with pytest.raises(FetchError):
        RemoteZoo(server.url).pull("tiny")
    server.faults = []
    server.requests.clear()
    assert same(RemoteZoo(server.url).pull("tiny"), entry)
    assert [path for path, _ in server.requests][:2] == ["/index.json", f"/{weights_name(entry)}"]
    if cut:
        assert server.ranges[1] == f"bytes={cut}-"


def test_pulls_at_once_are_one(server: FileServer, entry: Entry) -> None:
    pulled: list[Entry] = []
    threads = [
        threading.Thread(target=lambda: pulled.append(RemoteZoo(server.url).pull("tiny")), daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pulled) == 4
    assert all(same(each, entry) for each in pulled)
    assert [path for path, _ in server.requests].count(f"/{weights_name(entry)}") == 1


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(
    server: FileServer, entry: Entry, tmp_path: Path
) -> None:
    pulled = RemoteZoo(server.url).pull("tiny")
    shutil.rmtree(pulled.folder)
    (tmp_path / "cache" / "files" / weights_name(entry)).write_bytes(b"other")
    assert same(RemoteZoo(server.url).pull("tiny"), entry)


def test_a_kill_at_any_write_leaves_old_or_new(
    folder: Path, entry: Entry, publish: Callable[..., Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fsync, link and rename of a push and of a pull is the last one once."""
    remote = RemoteZoo(str(folder))
    remote.push(entry)
    other = publish(description="next")
    steps = 0

    class Killed(BaseException):
        pass

    def dies_at(limit: int, patch: pytest.MonkeyPatch) -> None:
        left = [limit]
        for name in ("fsync", "link", "replace", "rename"):
            call = getattr(os, name)

            def step(*arguments: Any, call: Callable[..., Any] = call, **options: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return call(*arguments, **options)

            patch.setattr(os, name, step)

    while True:
        cache = Cache(tmp_path / f"cache-{steps}")
        try:
            with monkeypatch.context() as patch:
                dies_at(steps, patch)
                remote.push(other)
                RemoteZoo(str(folder), cache).pull("tiny", other.version)
        except Killed:
            steps += 1
        else:
            break
        model = remote.read_index().models["tiny"]
        assert set(model.versions) in ({entry.version}, {entry.version, other.version})
        for version in model.versions:
            whole = {entry.version: entry, other.version: other}[version]
            assert same(RemoteZoo(str(folder), cache).pull("tiny", version), whole)
        store = cache.store_of(str(folder))
        assert all(store.open("tiny", version).contents() for version in store.versions("tiny"))
    assert steps > 10
    assert MANIFEST in os.listdir(RemoteZoo(str(folder), cache).store.open("tiny").folder)


def test_a_redirect_to_what_anybody_may_change_is_refused() -> None:
    answer, hop = requests.Response(), requests.Response()
    answer.status_code, answer.url, hop.url = 200, "https://host/zoo/index.json", "http://host/zoo/index.json"
    answer.raw = io.BytesIO(b"{}")
    answer.history = [hop]
    with pytest.raises(FetchError, match="leads to http://host"):
        remote_files._read_answer(answer, "https://host/zoo/index.json", 100)
    assert remote_files._read_answer(answer, "http://host/zoo/index.json", 100) == b"{}"
