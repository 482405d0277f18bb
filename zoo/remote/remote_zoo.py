"""A zoo elsewhere: pull entries from it, push entries to it.

A pull writes nothing into a store before every file has arrived and has its hash; a push writes the index
last. So whoever is killed in between leaves what was there before, and files that the next one uses.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from zoo.deprecation import Deprecation
from zoo.entry import Entry
from zoo.errors import IntegrityError, ManifestError, NoZooError
from zoo.manifest import FileRecord, Manifest
from zoo.remote.cache import Cache, PulledStore
from zoo.remote.fetching import OnProgress, check_held, fetch_entry, parse_manifest
from zoo.remote.files import Files, is_local, open_files
from zoo.remote.index import INDEX, MAX_BYTES, Index, IndexedVersion
from zoo.remote.seen_serials import refuse_older
from zoo.remote.signatures import check_signature, derive_public_key, sign_index
from zoo.storage import LATEST, is_alias

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteZoo:
    """A zoo at a URL, or in a folder of this machine.

    Attributes:
        url: of the folder that holds ``index.json``, or of a tar file of one; of this machine as an absolute
            path.
        cache: where pulled entries go; the user's by default.
        key: the Ed25519 public key that must have signed the index, as OpenSSH writes it; empty for none.

    Example:
        >>> remote = RemoteZoo("memory://zoo", Cache(Path("cache")))
        >>> remote.push(store.open("tiny"))
        >>> remote.pull("tiny").manifest == store.open("tiny").manifest
        True
    """

    url: str
    cache: Cache = field(default_factory=Cache.of_user)
    key: str = ""

    @classmethod
    def of(cls, store: PulledStore) -> "RemoteZoo":
        """The zoo that a store was pulled from."""
        return cls(store.url, store.cache, store.key)

    def __post_init__(self) -> None:
        place = self.url.removeprefix("file://")
        local = is_local(place)
        place = str(Path(place).expanduser().resolve()) if local else _normalize_url(place)
        object.__setattr__(self, "url", place.rstrip("/") or "/")

    @property
    def store(self) -> PulledStore:
        """What was pulled from here."""
        return self.cache.store_of(self.url, self.key)

    def read_index(self) -> Index:
        """What the zoo holds.

        Raises:
            NoZooError: there is no zoo.
            FetchError: it cannot be reached.
            ManifestError: the index cannot be used.
            IntegrityError: it is not signed by the key, or older than one that was.
        """
        index = self._read_index(open_files(self.url), self.key)
        if index is None:
            raise NoZooError(f"expected a zoo at {self.url}, found no {INDEX} there; check the address")
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
            The entry in the cache. Aliases that point at it there point at it in the cache, too, and what is
            deprecated there is deprecated in the cache, until the next pull of the model.

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
            _log.warning("%s@%s is deprecated: %s", name, version, indexed.deprecated.describe())
        if not check_held(store, name, version, indexed.sha256):
            with self.cache.hold():
                # Again: another process may have been first.
                if not check_held(store, name, version, indexed.sha256):
                    _, data = self.read_manifest(name, version, indexed)
                    fetch_entry(open_files(self.url), data, store, _name_file, on_progress)
        model = index.models[name]
        store.note_deprecations(
            name, {each: of.deprecated for each, of in model.versions.items() if of.deprecated}
        )
        for alias, target in model.aliases.items():
            if target == version and is_alias((alias, version)):
                store.alias(name, alias, version)
        return store.open(name, version)

    def push(self, entry: Entry, aliases: Sequence[str] = (LATEST,), private_key: Path | None = None) -> None:
        """Write an entry there and point aliases at it; the same again changes nothing.

        Args:
            entry: verified before anything is written.
            aliases: to point at it.
            private_key: an Ed25519 key to sign the index by; a zoo that is signed asks for one.

        Raises:
            ManifestError: an alias is no name, or looks like a version; the key is none.
            IntegrityError: the entry is damaged, or the index there is signed by another key.
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
        self._read_to_change(files, private_key).check_new(entry.manifest, self.url)
        mended = False
        for data in contents:
            name = hashlib.sha256(data).hexdigest()
            if not files.holds(name, data):
                files.write(name, data)
                mended = True

        def add(index: Index) -> Index:
            index.check_new(entry.manifest, self.url)  # again: another publisher may have been here
            return index.add(entry, indexed, aliases)

        self._change_index(files, add, private_key, again=mended)

    def deprecate(
        self,
        name: str,
        selector: str,
        reason: str,
        *,
        replacement: str = "",
        private_key: Path | None = None,
    ) -> str:
        """Say why a version should not be used any more; the version. Pulling and loading it warns.

        Args:
            name: of the model.
            selector: a version or an alias.
            reason: a sentence; empty takes an earlier one back.
            replacement: a reference to use instead, if there is one.
            private_key: as for :meth:`push`.

        Raises:
            EntryNotFoundError: there is no such entry.
            FetchError, ManifestError, IntegrityError: as for :meth:`push`.
        """
        try:
            why = Deprecation(reason=reason, replacement=replacement) if reason else None
        except ValidationError as error:
            raise ManifestError(f"expected a shorter reason and replacement, got: {error}") from error
        version, _ = self.read_index().find(name, selector, self.url)
        self._change_index(
            open_files(self.url), lambda index: index.deprecate(name, version, why), private_key
        )
        return version

    def read_manifest(self, name: str, version: str, indexed: IndexedVersion) -> tuple[Manifest, bytes]:
        """The manifest of an entry that the index names, verified, and its bytes.

        Raises:
            FetchError: it cannot be fetched, or is another one.
            ManifestError: this version of the library cannot use the entry.
            IntegrityError: it was edited, or is that of another entry.
        """
        if indexed.library is not None:
            indexed.library.check(f"{name}@{version} at {self.url}")
        sha256, nbytes = indexed.sha256, indexed.manifest_bytes
        path = self.cache.find_file(sha256, nbytes)
        if path is None:
            path = self.cache.files / sha256
            open_files(self.url).fetch(sha256, path, sha256, nbytes, lambda done, total: None)
        data = path.read_bytes()
        manifest = parse_manifest(data, self.url)
        if (manifest.name, manifest.version) != (name, version):
            raise IntegrityError(
                f"{self.url} calls {manifest.name}@{manifest.version} {name}@{version}; its index is damaged"
            )
        return manifest, data

    def _change_index(
        self,
        files: Files,
        change: Callable[[Index], Index],
        private_key: Path | None,
        *,
        again: bool = False,
    ) -> None:
        """Change the index; one that does not change is written if ``again``, as a tar file wants it."""
        with files.hold():
            index = self._read_to_change(files, private_key)
            changed = change(index)
            if changed == index and not again:
                return
            changed = changed.model_copy(update={"serial": index.serial + 1})
            signed = changed if private_key is None else sign_index(changed, private_key)
            files.write(INDEX, signed.to_bytes())

    def _read_to_change(self, files: Files, private_key: Path | None) -> Index:
        """The index, or an empty one, for somebody who may change it: whose key signed it, if any did."""
        own = "" if private_key is None else derive_public_key(private_key)
        if self.key and own != self.key:
            raise ManifestError(
                f"{self.url} is signed by {self.key}, got {own or 'no key'}; give its private key: --sign-key"
            )
        # An index without a signature may have lost it and been changed: none is signed that was not before.
        index = self._read_index(files, own) or Index()
        if index.signature is not None and not own:
            raise ManifestError(f"{self.url} is signed by {index.signature.key}; give that key: --sign-key")
        return index

    def _read_index(self, files: Files, key: str) -> Index | None:
        """The index, signed by that public key if one is given; None if there is none."""
        data = files.read(INDEX, MAX_BYTES)
        if data is None:
            return None
        try:
            index = Index.parse(data)
        except ManifestError as error:
            raise ManifestError(f"{self.url}/{INDEX}: {error}") from error
        if key:
            check_signature(data, key, self.url)
            refuse_older(self.url, index.serial)
        return index


def _name_file(record: FileRecord) -> str:
    return record.sha256


def _normalize_url(url: str) -> str:
    """One spelling of the URL of a place on the web, so that its key and its cache are found again."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or "::" in url:
        return url
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    user, at, _ = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user}{at}{host}{port}{re.sub('/+', '/', parts.path)}"
