"""Fetch the files of an entry into the cache, each verified before it is used.

The manifest comes first: what this version of the library cannot use brings no weights.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tunable_models import TunableError
from zoo.entry import Entry, check_version
from zoo.errors import FetchError, IntegrityError, ManifestError
from zoo.manifest import MANIFEST, FileRecord, Manifest
from zoo.remote.cache import Cache, PulledStore
from zoo.remote.files import Files, open_files
from zoo.storage import LATEST
from zoo.strict_json import MAX_BYTES, parse_json

OnProgress = Callable[[int, int], None]
"""Called as files arrive: bytes that are here, and of how many. What it raises ends the fetch."""


class _StopFetch(BaseException):
    """Ends a fetch whose callback failed; handlers of the network's errors, which try again, let it pass."""


def fetch_entry(
    files: Files,
    manifest_bytes: bytes,
    store: PulledStore,
    name_file: Callable[[FileRecord], str],
    on_progress: OnProgress,
) -> None:
    """Fetch what a manifest names, and make an entry of it in a store of pulled ones; the cache is held.

    Args:
        files: where the files are.
        manifest_bytes: the manifest, verified.
        store: where the entry goes.
        name_file: the name of a file there.
        on_progress: called as files arrive.

    Raises:
        ManifestError: this version of the library cannot use the entry.
        IntegrityError: the manifest was edited.
        FetchError: a file cannot be had, or is another one.
    """
    cache, manifest = store.cache, parse_manifest(manifest_bytes, store.url)
    total, before = sum(record.size for record in manifest.files), 0
    fetched = {MANIFEST: cache.add_file(manifest_bytes)}
    for record in manifest.files:

        def report(done: int, before: int = before) -> None:
            on_progress(before + done, total)

        path = cache.find_file(record.sha256, record.size)
        if path is None:
            path = cache.files / record.sha256
            _fetch_file(files, name_file(record), path, record, report)
        fetched[record.path] = path
        before += record.size
        on_progress(before, total)
    cache.assemble(store, manifest, fetched)


def _fetch_file(
    files: Files, name: str, target: Path, record: FileRecord, report: Callable[[int], None]
) -> None:
    failures = list[Exception]()

    def on_bytes(done: int, _: int | None) -> None:
        try:
            report(done)
        except Exception as error:
            failures.append(error)
            raise _StopFetch from error

    with suppress(_StopFetch):
        files.fetch(name, target, record.sha256, record.size, on_bytes)
    for failure in failures:
        raise failure


def parse_manifest(data: bytes, place: str) -> Manifest:
    """The manifest in a file of another place, if this version of the library can use its entry.

    Raises:
        ManifestError: it cannot.
        IntegrityError: the manifest was edited.
    """
    manifest = Manifest.parse(parse_json(data))
    check_version(manifest, f"the manifest at {place}")
    try:
        manifest.network_spec()
    except TunableError as error:
        raise ManifestError(f"cannot use {manifest.name}@{manifest.version}: {error}") from error
    return manifest


def pull_single_entry(url: str, cache: Cache, selector: str, on_progress: OnProgress) -> Entry:
    """Fetch an entry whose folder lies at a URL as it is, without an index: on the Hub of Hugging Face, say.

    Its manifest is believed as far as its place is; every other file is verified by it.

    Args:
        url: of the folder that holds ``manifest.json``.
        cache: where it goes.
        selector: of the entry's version; empty for any.
        on_progress: called as files arrive.

    Raises:
        FetchError: there is none, or it cannot be had.
        ManifestError: this version of the library cannot use it.
        IntegrityError: it was edited, or is another than the one pulled before, or is not of that version.
    """
    files, store = open_files(url), cache.store_of_entry(url)
    data = files.read(MANIFEST, MAX_BYTES)
    if data is None:
        raise FetchError(f"expected a zoo or an entry at {url}, found none; check the address")
    manifest = parse_manifest(data, url)
    name, version = manifest.name, manifest.version
    if selector not in ("", version):
        raise IntegrityError(f"expected version {selector} at {url}, got {version}; name that, or none")
    with cache.hold():
        if not check_held(store, name, version, hashlib.sha256(data).hexdigest()):
            fetch_entry(files, data, store, _own_name, on_progress)
    store.alias(name, LATEST, version)
    return store.open(name, version)


def check_held(store: PulledStore, name: str, version: str, sha256: str) -> bool:
    """Whether an entry with a manifest of that SHA-256 was pulled and is whole.

    Raises:
        IntegrityError: the version was pulled with another manifest.
    """
    held = store.holds(name, version, sha256)
    if held is None:
        raise IntegrityError(
            f"{store.url} has another {name}@{version} than the one that was pulled from there before; "
            "if that is meant: tunable zoo cache prune --all"
        )
    return held


def _own_name(record: FileRecord) -> str:
    return record.path
