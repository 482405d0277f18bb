"""The cache of pulled entries: files by their SHA-256, and a store of entries for each zoo they came from.

In ``$TUNABLE_ZOO_CACHE``, or the user's cache folder of the platform::

    files/3f0c...a77                     a file of any entry, by its SHA-256
    pulled/9d1e2f00aa31/url              which zoo the entries beside it are from
    pulled/9d1e2f00aa31/denoise/1.0.0    an entry of it: links to those files, and its manifest
    pulled/9d1e2f00aa31/denoise/deprecations.json    what that zoo said of versions at the last pull

Versions and zoos share files. Entries of a zoo lie in a :class:`zoo.Store`, so that all that reads entries
reads these, verified as ever. ``$TUNABLE_ZOO_SHARED_CACHE`` names another such folder, that is only read:
what somebody pulled for all machines of a cluster is not pulled again.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from zoo import strict_json
from zoo.deprecation import DEPRECATIONS, Deprecation
from zoo.durable import TEMPORARY, create_folder, replace_file, sync_folder, write_file
from zoo.entry import Entry
from zoo.errors import FetchError, ZooError
from zoo.manifest import MANIFEST, Manifest
from zoo.storage import Store, version_order

CACHE_VARIABLE = "TUNABLE_ZOO_CACHE"
SHARED_VARIABLE = "TUNABLE_ZOO_SHARED_CACHE"
URL_FILE = "url"


def cache_root() -> Path:
    """The folder of all that the zoo caches: ``$TUNABLE_ZOO_CACHE``, or the platform's for this user."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else user_cache_path("tunable-zoo")


@dataclass(frozen=True)
class Cache:
    """Pulled entries below one folder, which need not exist yet.

    Attributes:
        root: the folder.
        shared: the root of another cache, that is only read.
    """

    root: Path
    shared: Path | None = None

    @classmethod
    def of_user(cls) -> "Cache":
        """The cache of this user, over the shared one if there is one."""
        shared = os.environ.get(SHARED_VARIABLE)
        return cls(cache_root(), Path(shared) if shared else None)

    @property
    def files(self) -> Path:
        """The folder of files by SHA-256."""
        return self.root / "files"

    def hold(self) -> AbstractContextManager[object]:
        """One process at a time fetches, assembles or deletes.

        Raises:
            FetchError: nothing can be written there.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / ".pull.lock").touch()
        except OSError as error:
            raise self.unwritable(error) from error
        return FileLock(self.root / ".pull.lock")

    def unwritable(self, error: OSError) -> FetchError:
        """What to say where nothing can be written."""
        return FetchError(
            f"expected to write into the cache {self.root}, got: {error.strerror}; name another folder by "
            f"{CACHE_VARIABLE}"
        )

    def store_of(self, url: str, key: str = "") -> "PulledStore":
        """The store of what was pulled from a zoo, whose index that public key signs, if there is one."""
        # With its key, because what was pulled before that was known was not checked by it.
        folder = hashlib.sha256(f"{url}\n{key}".encode() if key else url.encode()).hexdigest()[:12]
        return PulledStore(self.root / "pulled" / folder, url=url, cache=self, key=key)

    def store_of_entry(self, url: str) -> "PulledStore":
        """The store of an entry that lies by itself at a URL, where there may be a zoo as well."""
        return self.store_of(f"{url}#entry")

    def find_file(self, sha256: str, nbytes: int) -> Path | None:
        """A file of that content, copied from the shared cache if only that has it; None if neither has.

        A file of that name with other content is deleted.
        """
        path = self.files / sha256
        if _has_content(path, sha256, nbytes):
            return path
        path.unlink(missing_ok=True)
        other = self.shared / "files" / sha256 if self.shared else None
        if other is None or not _has_content(other, sha256, nbytes):
            return None
        self.files.mkdir(parents=True, exist_ok=True)
        replace_file(path, other.read_bytes())
        return path

    def add_file(self, data: bytes) -> Path:
        """Keep a file; where it is."""
        path = self.files / hashlib.sha256(data).hexdigest()
        self.files.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
        return path

    def stores(self) -> list["PulledStore"]:
        """The stores of all zoos that something was pulled from."""
        return [
            PulledStore(path.parent, url=path.read_text(encoding="utf-8"), cache=self)
            for path in sorted(self.root.glob(f"pulled/*/{URL_FILE}"))
        ]

    def assemble(self, store: "PulledStore", manifest: Manifest, files: Mapping[str, Path]) -> None:
        """Make an entry of files that are in the cache, in place of one of that version.

        Args:
            store: of :meth:`store_of`.
            manifest: of the entry.
            files: in the cache, by name in the entry; its manifest among them.
        """
        target = Store.path(store, manifest.name, manifest.version)  # not that of the shared cache
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(store.root / URL_FILE, store.url.encode())
        if target.exists():  # a damaged one
            target.rename(target.with_name(f"{TEMPORARY}{manifest.version}"))
            shutil.rmtree(target.with_name(f"{TEMPORARY}{manifest.version}"))
        with create_folder(target) as folder:
            for name, path in files.items():
                _link_or_copy(path, folder / name)
        sync_folder(target.parent)

    def list_unused(self) -> list[Path]:
        """Files that no entry links to, and what pulls that were killed left behind.

        Raises:
            ZooError: an entry is damaged, so that what it needs is not known.
        """
        used = set[str]()
        for store in self.stores():
            for entry in store.entries():
                used |= {record.sha256 for record in entry.manifest.files}
                used.add(_hash_manifest(entry))
        files = [path for path in self.files.glob("*") if path.name not in used]
        left = [*self.root.glob(f"{TEMPORARY}*"), *self.root.glob(f"pulled/*/*/{TEMPORARY}*")]
        return sorted([*files, *left])

    def prune(self) -> list[str]:
        """Delete what :meth:`list_unused` lists, when nobody pulls; the names of it.

        Raises:
            ZooError: an entry is damaged.
        """
        with self.hold():
            unused = self.list_unused()
            for path in unused:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return [path.name for path in unused]

    def clear(self) -> None:
        """Delete all that was pulled; what runs with it goes on."""
        with self.hold():
            for folder in (self.root / "pulled", self.files, *self.root.glob(f"{TEMPORARY}*")):
                shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class PulledStore(Store):
    """The entries that were pulled from a zoo elsewhere; looking into it asks no other machine.

    Entries of that zoo in the shared cache are among them.

    Attributes:
        url: of the zoo.
        cache: that it is part of.
        key: the public key that signs the index of the zoo; empty if none is asked for.
    """

    url: str
    cache: Cache
    key: str = ""

    def names(self) -> list[str]:
        """See :class:`zoo.Store`."""
        return sorted({*super().names(), *(self._shared.names() if self._shared else ())})

    def versions(self, name: str) -> list[str]:
        """See :class:`zoo.Store`."""
        found = {*super().versions(name), *(self._shared.versions(name) if self._shared else ())}
        return sorted(found, key=lambda version: (version_order(version), version))

    def path(self, name: str, version: str) -> Path:
        """See :class:`zoo.Store`."""
        own = super().path(name, version)
        return own if own.exists() or self._shared is None else self._shared.path(name, version)

    def aliases(self, name: str) -> dict[str, str]:
        """See :class:`zoo.Store`; one to an entry that has left the shared cache is none."""
        known = (self._shared.aliases(name) if self._shared else {}) | super().aliases(name)
        there = self.versions(name)
        return {alias: version for alias, version in known.items() if version in there}

    def alias(self, name: str, alias: str, version: str) -> None:
        """See :class:`zoo.Store`.

        Raises:
            FetchError: the cache cannot be written.
        """
        if self.aliases(name).get(alias) == version:
            return  # maybe in the shared cache alone, where this user's own cannot be written
        try:
            self._home(name).mkdir(parents=True, exist_ok=True)
            super().alias(name, alias, version)
        except OSError as error:
            raise self.cache.unwritable(error) from error

    def deprecations(self, name: str) -> dict[str, Deprecation]:
        """See :class:`zoo.Store`; as of this user's last pull, or of that into the shared cache."""
        own = (self._home(name) / DEPRECATIONS).exists()
        return super().deprecations(name) if own or self._shared is None else self._shared.deprecations(name)

    def note_deprecations(self, name: str, reasons: Mapping[str, Deprecation]) -> None:
        """Remember what the zoo says of the versions of a model, in place of what it said before."""
        if self.deprecations(name) == reasons:
            return
        values = {version: why.model_dump(mode="json") for version, why in reasons.items()}
        with suppress(OSError):  # the pull has warned, and an entry of the shared cache can be used without
            self._home(name).mkdir(parents=True, exist_ok=True)
            replace_file(self._home(name) / DEPRECATIONS, strict_json.encode_json(values))

    def entries(self) -> Iterator[Entry]:
        """Every entry of every version that is not in the shared cache alone.

        Raises:
            ZooError: one is damaged.
        """
        own = Store(self.root)
        for name in own.names():
            for version in own.versions(name):
                yield own.open(name, version)

    @property
    def _shared(self) -> Store | None:
        shared = self.cache.shared
        return None if shared is None else Store(shared / "pulled" / self.root.name)

    def holds(self, name: str, version: str, sha256: str) -> bool | None:
        """Whether a version is here whole; None if it is, with another manifest than that SHA-256 says.

        One in the shared cache with another manifest is as good as none: nothing here can mend it.
        """
        if version not in self.versions(name):
            return False
        try:
            entry = self.open(name, version)
            entry.contents()
        except ZooError:  # fetched again
            return False
        if _hash_manifest(entry) == sha256:
            return True
        return None if entry.folder.is_relative_to(self.root) else False


def _hash_manifest(entry: Entry) -> str:
    # Of the file: a later library may write the same manifest with more fields.
    return hashlib.sha256((entry.folder / MANIFEST).read_bytes()).hexdigest()


def _has_content(path: Path, sha256: str, nbytes: int) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != nbytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        write_file(target, source.read_bytes())
