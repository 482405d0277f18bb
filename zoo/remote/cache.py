"""The cache of pulled entries: files by their SHA-256, and a store of entries for each zoo they came from.

In ``$TUNABLE_ZOO_CACHE``, or the user's cache folder of the platform::

    files/3f0c...a77                     a file of any entry, by its SHA-256
    pulled/9d1e2f00aa31/url              which zoo the entries beside it are from
    pulled/9d1e2f00aa31/denoise/1.0.0    an entry of it: links to those files, and its manifest

Versions and zoos share files. Entries of a zoo lie in a :class:`zoo.Store`, so that all that reads entries
reads these, verified as ever.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from zoo.durable import TEMPORARY, create_folder, replace_file, sync_folder, write_file
from zoo.entry import Entry
from zoo.errors import ZooError
from zoo.manifest import MANIFEST, Manifest
from zoo.storage import Store

CACHE_VARIABLE = "TUNABLE_ZOO_CACHE"
URL_FILE = "url"


def cache_root() -> Path:
    """The folder of all that the zoo caches: ``$TUNABLE_ZOO_CACHE``, or the platform's for this user."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else user_cache_path("tunable-zoo")


@dataclass(frozen=True)
class Cache:
    """Pulled entries below one folder, which need not exist yet."""

    root: Path

    @classmethod
    def of_user(cls) -> "Cache":
        """The cache of this user."""
        return cls(cache_root())

    @property
    def files(self) -> Path:
        """The folder of files by SHA-256."""
        return self.root / "files"

    def hold(self) -> AbstractContextManager[object]:
        """One process at a time fetches, assembles or deletes."""
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / ".pull.lock")

    def store_of(self, url: str) -> "PulledStore":
        """The store of what was pulled from a zoo."""
        folder = hashlib.sha256(url.encode()).hexdigest()[:12]
        return PulledStore(self.root / "pulled" / folder, url=url, cache=self)

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
        target = store.path(manifest.name, manifest.version)
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
        return sorted([*files, *self.root.glob(f"pulled/*/*/{TEMPORARY}*")])

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
            for folder in (self.root / "pulled", self.files):
                shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class PulledStore(Store):
    """The entries that were pulled from a zoo elsewhere; looking into it asks no other machine.

    Attributes:
        url: of the zoo.
        cache: that it is part of.
    """

    root: Path = field(kw_only=False)
    url: str
    cache: Cache

    def entries(self) -> Iterator[Entry]:
        """All of them.

        Raises:
            ZooError: one is damaged.
        """
        for name in self.names():
            for version in self.versions(name):
                yield self.open(name, version)

    def holds(self, name: str, version: str, sha256: str) -> bool | None:
        """Whether a version is here whole; None if it is, with another manifest than that SHA-256 says."""
        if version not in self.versions(name):
            return False
        try:
            entry = self.open(name, version)
            entry.contents()
        except ZooError:  # fetched again
            return False
        return True if _hash_manifest(entry) == sha256 else None


def _hash_manifest(entry: Entry) -> str:
    # Of the file: a later library may write the same manifest with more fields.
    return hashlib.sha256((entry.folder / MANIFEST).read_bytes()).hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        write_file(target, source.read_bytes())
