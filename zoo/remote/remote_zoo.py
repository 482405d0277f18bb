"""A zoo elsewhere: pull entries from it, push entries to it.

A pull writes nothing into a store before every file has arrived and has its hash; a push writes the index
last. So whoever is killed in between leaves what was there before, and files that the next one uses.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from tunable_models import TunableError
from zoo.entry import Entry, check_version
from zoo.errors import FetchError, IntegrityError, ManifestError
from zoo.manifest import MANIFEST, Manifest
from zoo.remote.cache import Cache, PulledStore
from zoo.remote.download import OnBytes
from zoo.remote.files import Files, is_local, open_files
from zoo.remote.index import INDEX, MAX_BYTES, Index, IndexedVersion
from zoo.storage import LATEST, is_alias
from zoo.strict_json import parse_json

OnProgress = Callable[[int, int], None]
"""Called as files arrive: bytes that are here, and of how many."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteZoo:
    """A zoo at a URL, or in a folder of this machine.

    Attributes:
        url: of the folder that holds ``index.json``; a folder of this machine as an absolute path.
        cache: where pulled entries go; the user's by default.

    Example:
        >>> remote = RemoteZoo("memory://zoo", Cache(Path("cache")))
        >>> remote.push(store.open("tiny"))
        >>> remote.pull("tiny").manifest == store.open("tiny").manifest
        True
    """

    url: str
    cache: Cache = field(default_factory=Cache.of_user)

    def __post_init__(self) -> None:
        place = self.url.removeprefix("file://")
        if is_local(place):
            place = str(Path(place).expanduser().resolve())
        object.__setattr__(self, "url", place.rstrip("/") or "/")

    @property
    def store(self) -> PulledStore:
        """What was pulled from here."""
        return self.cache.store_of(self.url)

    def read_index(self) -> Index:
        """What the zoo holds.

        Raises:
            FetchError: it cannot be reached, or there is no zoo.
            ManifestError: the index cannot be used.
        """
        index = _read_index(open_files(self.url), self.url)
        if index is None:
            raise FetchError(f"expected a zoo at {self.url}, found no {INDEX} there; check the address")
        return index

    def pull(
        self, name: str, selector: str = LATEST, on_progress: OnProgress = lambda done, total: None
    ) -> Entry:
        """Fetch an entry into the cache, every file verified; what is there whole is not fetched again.

        Args:
            name: of the model.
            selector: a version or an alias.
            on_progress: called as files arrive.

        Returns:
            The entry in the cache. Aliases that point at it there point at it in the cache, too.

        Raises:
            FetchError: the zoo cannot be reached, or sends other bytes than it promised.
            EntryNotFoundError: it has no such entry.
            ManifestError: this version of the library cannot use the entry; no weights were fetched.
            IntegrityError: the manifest is not that of the entry, or the version was pulled before with
                other content.
        """
        index, store = self.read_index(), self.store
        version, indexed = index.find(name, selector, self.url)
        if indexed.deprecated is not None:
            instead = f"; use {indexed.deprecated.replacement}" if indexed.deprecated.replacement else ""
            _log.warning("%s@%s is deprecated: %s%s", name, version, indexed.deprecated.reason, instead)
        if not self._holds(name, version, indexed):
            with self.cache.hold():
                if not self._holds(name, version, indexed):  # another process may have been first
                    self._fetch_entry(name, version, indexed, on_progress)
        for alias, target in index.models[name].aliases.items():
            if target == version and is_alias((alias, version)):
                store.alias(name, alias, version)
        return store.open(name, version)

    def push(self, entry: Entry, aliases: Sequence[str] = (LATEST,)) -> None:
        """Write an entry there and point aliases at it; the same again changes nothing.

        Args:
            entry: verified before anything is written.
            aliases: to point at it.

        Raises:
            ManifestError: an alias is no name, or looks like a version.
            IntegrityError: the entry is damaged.
            EntryExistsError: the version is there with other content.
            FetchError: the place cannot be read or written.
        """
        for alias in aliases:
            if not is_alias((alias, entry.version)):
                raise ManifestError(f"expected an alias such as 'stable', got {alias!r}")
        manifest = entry.manifest.to_bytes()
        contents = [manifest, *entry.contents().values()]
        indexed = IndexedVersion.of(entry.manifest, hashlib.sha256(manifest).hexdigest())
        files = open_files(self.url)
        (_read_index(files, self.url) or Index()).check_new(entry.manifest, self.url)
        for data in contents:
            name = hashlib.sha256(data).hexdigest()
            if not files.holds(name, data):
                files.write(name, data)
        with self._hold_index():
            index = _read_index(files, self.url) or Index()  # again: another publisher may have been here
            index.check_new(entry.manifest, self.url)
            files.write(INDEX, index.add(entry, indexed, aliases).to_bytes())

    def _holds(self, name: str, version: str, indexed: IndexedVersion) -> bool:
        held = self.store.holds(name, version, indexed.sha256)
        if held is None:
            raise IntegrityError(
                f"{self.url} has another {name}@{version} than the one that was pulled from there before; "
                "if that is meant: tunable zoo cache prune --all"
            )
        return held

    def _fetch_entry(self, name: str, version: str, indexed: IndexedVersion, on_progress: OnProgress) -> None:
        files = open_files(self.url)
        path = self._fetch_file(files, indexed.sha256, indexed.manifest_bytes)
        manifest = Manifest.parse(parse_json(path.read_bytes()))
        if (manifest.name, manifest.version) != (name, version):
            raise IntegrityError(
                f"{self.url} calls {manifest.name}@{manifest.version} {name}@{version}; its index is damaged"
            )
        check_version(manifest, f"the manifest at {self.url}")
        try:
            manifest.network_spec()
        except TunableError as error:
            raise ManifestError(f"cannot use {name}@{version}: {error}") from error
        total, before, fetched = sum(record.size for record in manifest.files), 0, {MANIFEST: path}
        for record in manifest.files:

            def report(done: int, _: int | None, before: int = before) -> None:
                on_progress(before + done, total)

            fetched[record.path] = self._fetch_file(files, record.sha256, record.size, report)
            before += record.size
            on_progress(before, total)
        self.cache.assemble(self.store, manifest, fetched)

    def _fetch_file(
        self, files: Files, sha256: str, nbytes: int, on_bytes: OnBytes = lambda done, total: None
    ) -> Path:
        """The file in the cache, verified."""
        path = self.cache.files / sha256
        if not _has_content(path, sha256, nbytes):
            path.unlink(missing_ok=True)
            files.fetch(sha256, path, sha256, nbytes, on_bytes)
        return path

    def _hold_index(self) -> AbstractContextManager[object]:
        """One publisher of this machine at a time, where the zoo is a folder."""
        return FileLock(Path(self.url) / f".{INDEX}.lock") if is_local(self.url) else nullcontext()


def _read_index(files: Files, url: str) -> Index | None:
    data = files.read(INDEX, MAX_BYTES)
    try:
        return None if data is None else Index.parse(data)
    except ManifestError as error:
        raise ManifestError(f"{url}/{INDEX}: {error}") from error


def _has_content(path: Path, sha256: str, nbytes: int) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != nbytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
