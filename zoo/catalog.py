"""Find entries by reference, over several stores.

A reference is one of

- ``name``, ``name@version`` or ``name@alias``,
- one of these behind the place of a zoo: ``https://host/zoo/denoise@1.0.0``, ``s3://bucket/zoo/denoise``,
  ``shared/zoo/denoise``, ``zoo.tar/denoise``,
- the place of an entry's folder: a path, a URL, ``hf://owner/repository`` on the Hub of Hugging Face,
- ``models:/name@alias`` or ``models:/name/number`` in MLflow's registry.

Stores are searched in order, so an entry that ships with the package comes before a user's own of the same
name. What none of them has is pulled from the sources that the user added, in their order.
"""

import logging
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from tunable_models.errors import suggest_name
from zoo.entry import Entry
from zoo.errors import EntryNotFoundError, ManifestError, ZooError
from zoo.manifest import MANIFEST, NAME, WEIGHTS, FileRecord
from zoo.remote.addresses import OFFLINE_REASON, Address, has_entry, open_held, pull_first
from zoo.remote.cache import PulledStore
from zoo.remote.files import is_local
from zoo.remote.offline import is_offline
from zoo.remote.sources import list_sources
from zoo.storage import Store
from zoo.weights import count_parameters, rebuild_network

STORE_VARIABLE = "TUNABLE_ZOO_STORE"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What :func:`verify` found in order.

    Attributes:
        entry: the entry.
        files: its verified files.
        parameters: of the network, that were all finite.

    Example:
        >>> report = verify("tiny", stores=[store])
        >>> [file.path for file in report.files]
        ['README.md', 'model.safetensors']
    """

    entry: Entry
    files: tuple[FileRecord, ...]
    parameters: int


def bundled_store() -> Store:
    """The entries that ship with the package."""
    return Store(Path(__file__).parent / "entries")


def user_store() -> Store:
    """The store of this user: ``$TUNABLE_ZOO_STORE``, or a folder of the platform's choice."""
    chosen = os.environ.get(STORE_VARIABLE)
    return Store(Path(chosen) if chosen else user_data_path("tunable-zoo") / "entries")


def default_stores() -> list[Store]:
    """Where references are looked up, in order: bundled entries, the user's, those pulled from each source.

    Example:
        >>> [type(place).__name__ for place in default_stores()]
        ['Store', 'Store']
    """
    try:
        sources = list_sources()
    except ManifestError as error:
        _log.warning("no source is asked: %s", error)  # what is at hand is none the worse
        sources = {}
    return [bundled_store(), user_store(), *(source.zoo.store for source in sources.values())]


def list_models(
    task: str | None = None,
    stores: Iterable[Store] | None = None,
    *,
    control: str | None = None,
    license: str | None = None,
    max_params: int | None = None,
    source: str | None = None,
) -> list[Entry]:
    """The default entry of each name that is at hand, sorted by name.

    A damaged entry is left out with a warning, so that it cannot hide the others.
    :func:`zoo.search_models` finds those too that can be pulled.

    Args:
        task: what the models do.
        stores: where to look; by default as :func:`resolve`.
        control: a slider that they have.
        license: of their weights, such as ``Apache-2.0``.
        max_params: how many parameters they have at most, buffers included.
        source: the name of a source that was added: what was pulled from there.

    Raises:
        ManifestError: there is no such source.

    Example:
        >>> [entry.name for entry in list_models(task="denoise", stores=[store])]
        ['tiny']
        >>> list_models(max_params=1000, stores=[store])
        []
    """
    entries: dict[str, Entry] = {}
    for place in select_stores(stores, source):
        for name in place.names():
            try:
                entries.setdefault(name, place.open(name))
            except ZooError as error:
                warnings.warn(f"{name} is left out of the list: {error}", stacklevel=2)
    return [
        entry
        for _, entry in sorted(entries.items())
        if task in (None, entry.manifest.task)
        and (control is None or control in entry.manifest.control_space.names)
        and license in (None, entry.manifest.license.weights)
        and (max_params is None or count_parameters(entry.folder / WEIGHTS) <= max_params)
    ]


def select_stores(stores: Iterable[Store] | None, source: str | None = None) -> list[Store]:
    """The stores to look in: those given, or the default ones, or that of a source alone.

    Raises:
        ManifestError: there is no such source.
    """
    if source is None:
        return _stores_or_default(stores)
    sources = list_sources()
    if source not in sources:
        raise ManifestError(f"no source {source!r}; there are {', '.join(sources) or 'none'}")
    return [sources[source].zoo.store]


def resolve(ref: str | Path, stores: Iterable[Store] | None = None) -> Entry:
    """The entry of a reference, pulled first if no store has it; reads its manifest only.

    Other machines are asked only for a URL, and for what is missing where a source is among the stores; with
    ``$TUNABLE_OFFLINE`` never.

    Raises:
        EntryNotFoundError: there is none; the message names the nearest or says what to type.
        ManifestError: its manifest, or an alias file on the way, cannot be used.
        IntegrityError: its manifest was edited or moved.
        FetchError: it is elsewhere and cannot be fetched.

    Example:
        >>> entry = resolve("tiny@latest", stores=[store])
        >>> entry == resolve(entry.folder)
        True
    """
    if (address := Address.find(ref)) is not None:
        return address.resolve()
    name, _, selector = str(ref).partition("@")
    if isinstance(ref, Path) or not NAME.fullmatch(name):
        return _open_folder(Path(ref))
    searched = _stores_or_default(stores)
    for store in searched:
        if has_entry(store, name, selector):
            return open_held(store, name, selector)
    sources = [store for store in searched if isinstance(store, PulledStore)]
    asked = [store for store in sources if is_local(store.url) or not is_offline()]
    reason = "" if asked == sources else f"; {OFFLINE_REASON}"
    try:
        return pull_first(name, selector, asked)
    except EntryNotFoundError as error:
        hint = f"; {error}" if asked else ""
        raise EntryNotFoundError(f"{_not_found(ref, name, searched)}{hint}{reason}") from None


def pull(ref: str) -> Entry:
    """Fetch an entry from the sources, or from the zoo at its URL, even if one of that alias is at hand.

    Args:
        ref: as for :func:`resolve`, but for a folder of this machine.

    Raises:
        EntryNotFoundError: no source has it, or there is none.
        FetchError, ManifestError, IntegrityError: as :meth:`zoo.RemoteZoo.pull`.

    Example:
        >>> RemoteZoo("memory://team").push(store.open("tiny"))
        >>> pull("memory://team/tiny@latest").name
        'tiny'
    """
    if (address := Address.find(ref)) is not None:
        return address.pull()
    name, _, selector = ref.partition("@")
    sources = [source.zoo.store for source in list_sources().values()]
    if not sources:
        raise EntryNotFoundError(
            f"expected a source to pull {ref} from, none was added; say tunable zoo add-source NAME URL, or "
            "put the URL of a zoo before the name"
        )
    return pull_first(name, selector, sources)


def verify(ref: str | Path, stores: Iterable[Store] | None = None) -> Report:
    """Check all that can be checked: every file's size and hash, no others, weights that fit and are finite.

    Raises:
        EntryNotFoundError: as :func:`resolve`.
        ManifestError: the manifest cannot be used.
        IntegrityError: what differs from the manifest.

    Example:
        >>> verify("tiny", stores=[store]).parameters
        3222
    """
    entry = resolve(ref, stores)
    network = rebuild_network(entry.manifest, entry.contents()[WEIGHTS])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Report(entry=entry, files=entry.manifest.files, parameters=parameters)


def _stores_or_default(stores: Iterable[Store] | None) -> list[Store]:
    return default_stores() if stores is None else list(stores)


def _open_folder(folder: Path) -> Entry:
    if not (folder / MANIFEST).exists():
        raise EntryNotFoundError(
            f"expected a name, name@version or an entry's folder, got {str(folder)!r} without a {MANIFEST}"
        )
    return Entry.open(folder)


def _not_found(ref: str | Path, name: str, stores: list[Store]) -> str:
    names = sorted({known for store in stores for known in store.names()})
    if name in names:
        has = [v for store in stores for v in (*store.versions(name), *store.aliases(name))]
        return f"no entry {str(ref)!r}; {name} has {', '.join(has)}"
    if (Path(ref) / MANIFEST).exists():
        return f"no entry {str(ref)!r} in any store; for the folder of that name, write './{ref}'"
    places = ", ".join(store.url if isinstance(store, PulledStore) else str(store.root) for store in stores)
    return f"no entry {str(ref)!r} in {places}{suggest_name(name, names, 'there are')}"
