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
from urllib.parse import urlsplit

from filelock import FileLock

from tunable_models import TunableError
from zoo.entry import Entry, check_version
from zoo.errors import EntryExistsError, FetchError, IntegrityError, ManifestError
from zoo.manifest import Manifest
from zoo.remote.cache import Cache, PulledStore
from zoo.remote.files import Files, open_files
from zoo.remote.index import INDEX, MAX_BYTES, Index, IndexedVersion
from zoo.storage import LATEST
from zoo.strict_json import parse_json

OnProgress = Callable[[int, int], None]
"""Called as files arrive: bytes that are here, and of how many."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteZoo:
    """A zoo at a URL, or in a folder of this machine.

    Attributes:
        url: of the folder that holds ``index.json``.
        cache: where pulled entries go; the user's by default.

    Example:
        >>> remote = RemoteZoo("memory://zoo", Cache(Path("cache")))
        >>> remote.push(store.open("tiny"))
        >>> remote.pull("tiny").manifest == store.open("tiny").manifest
        True
    """

    url: str
    cache: Cache = field(default_factory=Cache.of_user)

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
        """Fetch an entry into the cache, every file verified; what is there already is not fetched again.

        Args:
            name: of the model.
            selector: a version or an alias.
            on_progress: called as files arrive.

        Returns:
            The entry in the cache. Aliases that point at it here point at it there, too.

        Raises:
            FetchError: the zoo cannot be reached, or sends other bytes than it promised.
            EntryNotFoundError: it has no such entry.
            ManifestError: this version of the library cannot use the entry; no weights were fetched.
            IntegrityError: the manifest is not that of the entry.
        """
        index = self.read_index()
        version, said = index.find(name, selector, self.url)
        if said.deprecated is not None:
            instead = f"; use {said.deprecated.replacement}" if said.deprecated.replacement else ""
            _log.warning("%s@%s is deprecated: %s%s", name, version, said.deprecated.reason, instead)
        if version not in self.store.versions(name):
            self._fetch_entry(name, version, said, on_progress)
        for alias, target in index.models[name].aliases.items():
            if target == version:
                self.store.alias(name, alias, version)
        return self.store.open(name, version)

    def push(self, entry: Entry, aliases: Sequence[str] = (LATEST,)) -> None:
        """Write an entry there and point aliases at it; the same again changes nothing.

        Args:
            entry: verified before anything is written.
            aliases: to point at it.

        Raises:
            IntegrityError: the entry is damaged.
            EntryExistsError: the version is there with other content.
            FetchError: the place cannot be read or written.
        """
        manifest = entry.manifest.to_bytes()
        contents = [manifest, *entry.contents().values()]
        sha256 = hashlib.sha256(manifest).hexdigest()
        files = open_files(self.url)
        self._refuse_others(_read_index(files, self.url) or Index(), entry, sha256)
        for data in contents:
            name = hashlib.sha256(data).hexdigest()
            if files.find_size(name) != len(data):
                files.write(name, data)
        with self._hold_lock():
            # Read again: another publisher may have been here.
            index = _read_index(files, self.url) or Index()
            self._refuse_others(index, entry, sha256)
            described = IndexedVersion.of(entry, manifest, sha256)
            known = index.models.get(entry.name)
            if known is not None and entry.version in known.versions:
                described = known.versions[entry.version]  # with what was said about it since
            files.write(INDEX, index.add(entry, described, tuple(aliases)).to_bytes())

    def _fetch_entry(self, name: str, version: str, said: IndexedVersion, on_progress: OnProgress) -> None:
        files = open_files(self.url)
        path = self._fetch_file(files, said.sha256, said.manifest_bytes)
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
        total = sum(record.size for record in manifest.files)
        before, fetched = 0, dict[str, Path]()
        for record in manifest.files:

            def report(done: int, _: int | None, before: int = before) -> None:
                on_progress(before + done, total)

            fetched[record.path] = self._fetch_file(files, record.sha256, record.size, report)
            before += record.size
        self.cache.assemble(self.store, manifest, fetched)

    def _fetch_file(
        self,
        files: Files,
        sha256: str,
        nbytes: int,
        on_bytes: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> Path:
        """The file in the cache, verified."""
        path = self.cache.files / sha256
        if path.is_file() and not path.is_symlink() and _has_content(path, sha256, nbytes):
            return path
        path.unlink(missing_ok=True)
        files.fetch(sha256, path, sha256, nbytes, on_bytes)
        return path

    def _refuse_others(self, index: Index, entry: Entry, sha256: str) -> None:
        known = index.models.get(entry.name)
        there = None if known is None else known.versions.get(entry.version)
        if there is not None and there.sha256 != sha256:
            raise EntryExistsError(
                f"{self.url} has {entry.name}@{entry.version} with other content; publish another version"
            )

    def _hold_lock(self) -> AbstractContextManager[object]:
        """One publisher of this machine at a time, where the zoo is a folder."""
        place = urlsplit(self.url)
        if place.scheme not in ("", "file"):
            return nullcontext()
        folder = Path(place.path)
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f".{INDEX}.lock")


def _read_index(files: Files, url: str) -> Index | None:
    data = files.read(INDEX, MAX_BYTES)
    try:
        return None if data is None else Index.parse(data)
    except ManifestError as error:
        raise ManifestError(f"{url}/{INDEX}: {error}") from error


def _has_content(path: Path, sha256: str, nbytes: int) -> bool:
    if path.stat().st_size != nbytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
