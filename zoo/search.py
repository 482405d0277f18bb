"""Find models by what they do: those at hand, and those of the sources."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from zoo.catalog import list_models, select_stores
from zoo.errors import EntryNotFoundError, ZooError
from zoo.manifest import License
from zoo.remote.cache import PulledStore
from zoo.remote.files import is_local
from zoo.remote.offline import is_offline
from zoo.remote.remote_zoo import RemoteZoo
from zoo.storage import LATEST, Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """A model that is at hand, or can be pulled.

    Attributes:
        name: of the model.
        version: that its name alone means.
        task: what it does.
        description: for people.
        controls: names of its sliders.
        license: of weights and data.
        nbytes: of all its files.
        url: of the zoo that it can be pulled from; empty if it is at hand.

    Example:
        >>> [model] = search_models("tiny", stores=[store])
        >>> model.controls, model.license.weights, model.url
        (('denoise',), 'CC0-1.0', '')
    """

    name: str
    version: str
    task: str
    description: str
    controls: tuple[str, ...]
    license: License
    nbytes: int
    url: str = ""


def search_models(
    text: str = "",
    *,
    task: str | None = None,
    control: str | None = None,
    license: str | None = None,
    max_bytes: int | None = None,
    source: str | None = None,
    stores: Iterable[Store] | None = None,
) -> list[FoundModel]:
    """Find models at hand, then those of the sources that are not and that are not deprecated.

    Args:
        text: words that must all be in name, task, description or sliders, in any case.
        task: of the model.
        control: a slider that it has.
        license: of its weights, such as ``Apache-2.0``.
        max_bytes: of all its files.
        source: the name of a source that was added: what it has alone.
        stores: where to look; by default as :func:`zoo.resolve`. Sources among them are asked, unless
            ``$TUNABLE_OFFLINE`` forbids it.

    A source that cannot be asked is left out with a warning.

    Raises:
        ManifestError: there is no such source.

    Example:
        >>> [model.name for model in search_models("denoise", control="denoise", stores=[store])]
        ['tiny']
    """
    searched = select_stores(stores, source)
    found: dict[str, FoundModel] = {}
    for model in (*_list_local(searched), *_list_remote(searched)):
        found.setdefault(model.name, model)
    words = text.lower().split()
    return [
        model
        for model in found.values()
        if task in (None, model.task)
        and (control is None or control in model.controls)
        and license in (None, model.license.weights)
        and (max_bytes is None or model.nbytes <= max_bytes)
        and all(word in _describe(model) for word in words)
    ]


def _describe(model: FoundModel) -> str:
    return " ".join((model.name, model.task, model.description, *model.controls)).lower()


def _list_local(stores: list[Store]) -> Iterator[FoundModel]:
    for entry in list_models(stores=stores):
        manifest = entry.manifest
        yield FoundModel(
            name=entry.name,
            version=entry.version,
            task=manifest.task,
            description=manifest.description,
            controls=manifest.control_space.names,
            license=manifest.license,
            nbytes=sum(file.size for file in manifest.files),
        )


def _list_remote(stores: list[Store]) -> Iterator[FoundModel]:
    for store in stores:
        if not isinstance(store, PulledStore) or (is_offline() and not is_local(store.url)):
            continue
        try:
            index = RemoteZoo.of(store).read_index()
        except ZooError as error:
            _log.warning("%s", error)
            continue
        for name in sorted(index.models):
            with suppress(EntryNotFoundError):  # a name without a version of its own
                version, indexed = index.find(name, LATEST, store.url)
                if indexed.deprecated is None:
                    yield FoundModel(
                        name=name,
                        version=version,
                        task=indexed.task,
                        description=indexed.description,
                        controls=indexed.controls,
                        license=License(
                            weights=indexed.license.weights,
                            data=indexed.license.data,
                            note=indexed.license.note,
                        ),
                        nbytes=indexed.nbytes,
                        url=store.url,
                    )
