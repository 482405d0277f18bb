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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

from zoo.durable import TEMPORARY, create_folder, replace_file, sync_folder, write_file
from zoo.manifest import MANIFEST, Manifest
from zoo.storage import Store

CACHE_VARIABLE = "TUNABLE_ZOO_CACHE"
ORIGIN = "url"
"""File in the store of a zoo that says which one."""


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

    def store_of(self, url: str) -> "PulledStore":
        """The store of what was pulled from a zoo."""
        folder = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:12]
        return PulledStore(self.root / "pulled" / folder, url=url, cache=self)

    def stores(self) -> list["PulledStore"]:
        """The stores of all zoos that something was pulled from."""
        return [
            PulledStore(path.parent, url=path.read_text(encoding="utf-8"), cache=self)
            for path in sorted(self.root.glob(f"pulled/*/{ORIGIN}"))
        ]

    def assemble(self, store: "PulledStore", manifest: Manifest, files: Mapping[str, Path]) -> None:
        """Make an entry of files that are in the cache; one that is there already stays.

        Args:
            store: of :meth:`store_of`.
            manifest: of the entry.
            files: in the cache, by name in the entry.
        """
        target = store.path(manifest.name, manifest.version)
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(store.root / ORIGIN, store.url.encode())
        try:
            with create_folder(target) as folder:
                for name, path in files.items():
                    _link_or_copy(path, folder / name)
                write_file(folder / MANIFEST, manifest.to_bytes())
        except OSError:
            if not target.exists():  # otherwise another process was first
                raise
        sync_folder(target.parent)

    def list_unused(self) -> list[Path]:
        """Files that no entry links to, and parts of downloads that were given up."""
        if not self.files.is_dir():
            return []
        used = set[str]()
        for store in self.stores():
            for name in store.names():
                for version in store.versions(name):
                    manifest = store.open(name, version).manifest
                    used |= {record.sha256 for record in manifest.files}
                    used.add(hashlib.sha256(manifest.to_bytes()).hexdigest())
        return sorted(path for path in self.files.glob("[!.]*") if path.name not in used)

    def clear(self) -> None:
        """Delete all that was pulled; what runs with it goes on."""
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


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        partial = target.with_name(f"{TEMPORARY}{target.name}")
        shutil.copyfile(source, partial)
        os.replace(partial, target)
