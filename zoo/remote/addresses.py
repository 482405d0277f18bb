"""References that say where an entry is: the place of a zoo and a name in it, or that of the entry itself."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.entry import Entry
from zoo.errors import EntryNotFoundError, NoZooError, ZooError
from zoo.manifest import NAME
from zoo.remote.cache import Cache, PulledStore
from zoo.remote.fetching import pull_single_entry
from zoo.remote.files import is_local
from zoo.remote.index import INDEX
from zoo.remote.mlflow_models import SCHEME as MLFLOW
from zoo.remote.mlflow_models import pull_registered
from zoo.remote.offline import OFFLINE_VARIABLE, is_offline
from zoo.remote.remote_zoo import RemoteZoo
from zoo.remote.sources import find_zoo, show_progress
from zoo.remote.tar import SUFFIX as TAR
from zoo.storage import LATEST, Store

HUB = "hf://"
OFFLINE_REASON = f"{OFFLINE_VARIABLE} is set, so no other machine was asked"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where an entry is.

    Attributes:
        url: of the entry, if it lies there by itself.
        place: of the zoo that has it; empty where there can be none.
        name: of the model in that zoo.
        selector: a version or an alias; empty for the default.
    """

    url: str
    place: str = ""
    name: str = ""
    selector: str = ""

    @classmethod
    def find(cls, ref: str | Path) -> "Address | None":
        """The address in a reference; None if that is a name, or the folder of an entry.

        Raises:
            EntryNotFoundError: it is malformed.
        """
        text = str(ref)
        if isinstance(ref, str) and text.startswith(MLFLOW):
            return cls(text)
        if isinstance(ref, str) and "://" in text:
            return cls._of_url(text.rstrip("/"))
        path = Path(text)
        name, _, selector = path.name.partition("@")
        if path.suffix == TAR and path.is_file():
            return cls(str(path.resolve()))
        # Without a folder it is a name, whatever lies in the current one.
        if path.name != text and NAME.fullmatch(name) and _is_zoo(path.parent):
            return cls(str(path.with_name(name).absolute()), str(path.parent), name, selector)
        return None

    @classmethod
    def _of_url(cls, text: str) -> "Address":
        scheme, _, path = text.partition("://")
        place, _, last = path.rpartition("/")
        name, _, selector = last.partition("@")
        if text.startswith(HUB) and place and "/" not in place:
            return cls(text)  # owner/repository@revision
        if not place or not NAME.fullmatch(name):
            raise EntryNotFoundError(f"expected URL/name or URL/name@version, got {text!r}")
        folder = place if scheme == "file" else f"{scheme}://{place}"
        return cls(f"{folder}/{name}", folder, name, selector)

    def resolve(self) -> Entry:
        """The entry, from the cache if it was pulled before; a registry of MLflow is asked each time.

        Raises:
            ZooError: there is none, or it cannot be fetched or used.
        """
        if self.url.startswith(MLFLOW):
            return self.pull()
        if self.place:
            store = find_zoo(self.place).store
            if has_entry(store, self.name, self.selector):
                return open_held(store, self.name, self.selector)
        if self._may_be_single and not is_local(self.url):  # what is on this machine is read each time
            single = Cache.of_user().store_of_entry(self.url)
            for name in single.names():
                if has_entry(single, name, self.selector):
                    return single.open(name, self.selector or LATEST)
        if is_offline() and not is_local(self.url):
            raise EntryNotFoundError(f"no entry {self.url!r} in the cache; {OFFLINE_REASON}")
        return self.pull()

    @property
    def _may_be_single(self) -> bool:
        """Whether an entry may lie there by itself; not where a key must have signed what is there."""
        return not self.place or not find_zoo(self.place).key

    def pull(self) -> Entry:
        """The entry, fetched even if it is in the cache.

        Raises:
            ZooError: there is none, or it cannot be fetched or used.
        """
        if self.url.startswith(MLFLOW):
            return pull_registered(self.url, Cache.of_user())
        if self.place:
            try:
                return pull_first(self.name, self.selector, [find_zoo(self.place).store])
            except NoZooError:  # the entry may lie there by itself
                if not self._may_be_single:
                    raise
        with show_progress(f"pulling {self.url}") as report:
            return pull_single_entry(self.url, Cache.of_user(), self.selector, report)


def pin_reference(ref: str | Path, version: str) -> str:
    """A reference that names the version that another one leads to now, from any current folder.

    An entry that lies by itself, on the Hub or in MLflow's registry, is named by its place alone: another
    version may come there.
    """
    address = Address.find(ref)
    if address is None:
        name = str(ref).partition("@")[0]
        is_name = isinstance(ref, str) and NAME.fullmatch(name)
        return f"{name}@{version}" if is_name else str(Path(ref).absolute())
    return f"{address.url}@{version}" if address.place else address.url


def pull_first(name: str, selector: str, sources: Sequence[PulledStore]) -> Entry:
    """The entry of the first source that has it; one that fails does not keep the next from being asked.

    Raises:
        EntryNotFoundError: none has it.
        ZooError: of the first source that failed, if none has it.
    """
    missing, failed = list[EntryNotFoundError](), list[ZooError]()
    for source in sources:
        try:
            with show_progress(f"pulling {name}") as report:
                return RemoteZoo.of(source).pull(name, selector or LATEST, report)
        except EntryNotFoundError as error:
            missing.append(error)
        except ZooError as error:
            failed.append(error)
            if len(sources) > 1:
                _log.warning("%s", error)
    if failed:
        raise failed[0]
    raise EntryNotFoundError("; ".join(map(str, missing)))


def has_entry(store: Store, name: str, selector: str) -> bool:
    """Whether a store has a version, an alias, or without either a default of that name."""
    versions = store.versions(name)
    if isinstance(store, PulledStore):
        selector = selector or LATEST  # what is newest among those pulled is not what is newest there
    return bool(versions) and (not selector or selector in versions or selector in store.aliases(name))


def open_held(store: Store, name: str, selector: str) -> Entry:
    """The entry of a store that has it; the log warns of one that is deprecated, as that of a pull does.

    Raises:
        ManifestError, IntegrityError: it cannot be used.
    """
    entry = store.open(name, selector or LATEST)
    if entry.deprecated is not None:
        _log.warning("%s@%s is deprecated: %s", entry.name, entry.version, entry.deprecated.describe())
    return entry


def _is_zoo(place: Path) -> bool:
    return (place / INDEX).is_file() or (place.suffix == TAR and place.is_file())
