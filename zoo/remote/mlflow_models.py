"""Entries in MLflow's model registry: ``models:/denoise@champion`` and ``models:/denoise/3``.

A registered version is the folder of an entry, as the pipeline publishes it. The registry is the one that
MLflow's own settings name, ``MLFLOW_TRACKING_URI`` first. What it sends is believed as little as any other
place: of its files those are kept that the manifest names, with their hashes. All of a version is downloaded
before that can be checked.
"""

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

from zoo.durable import TEMPORARY
from zoo.entry import Entry
from zoo.errors import EntryNotFoundError, FetchError, IntegrityError, ManifestError, ZooError
from zoo.manifest import MANIFEST
from zoo.remote.cache import Cache, PulledStore
from zoo.remote.fetching import check_held, parse_manifest
from zoo.remote.offline import is_offline, require_online
from zoo.storage import is_alias

SCHEME = "models:/"
ZOO_VERSION = "zoo_version"
"""Tag of a registered version: the version of the entry, by which it is found in the cache."""

_FORM = re.compile(r"models:/+(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<number>\d+))")


def pull_registered(ref: str, cache: Cache) -> Entry:
    """Fetch an entry from the registry into the cache; what is there already is not fetched again.

    The registry is asked on every call, because its aliases move; where no other machine may be asked, what
    the cache holds under that alias or number is used.

    Args:
        ref: ``models:/name@alias`` or ``models:/name/number``.
        cache: where it goes.

    Raises:
        EntryNotFoundError: there is no such model, alias or version.
        FetchError: MLflow is missing, or its registry cannot be reached.
        ManifestError, IntegrityError: what is registered is no entry that can be used.
    """
    match = _FORM.fullmatch(ref)
    if match is None:
        raise EntryNotFoundError(f"expected models:/name@alias or models:/name/number, got {ref!r}")
    name, alias, number = match.group("name", "alias", "number")
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise FetchError(f"{ref} needs MLflow: pip install 'tunable-zoo[pipelines]'") from error
    registry = _name_registry(mlflow.get_registry_uri())
    store = cache.store_of(f"{registry}#{SCHEME}{name}")
    selector = (alias or number).lower()
    if is_offline():  # its files may be elsewhere, even if its database is here
        known = [model for model in store.names() if selector in store.aliases(model)]
        if not known:
            require_online(ref)
        return store.open(known[0], selector)
    if registry.startswith("sqlite:///") and not Path(registry.removeprefix("sqlite:///")).exists():
        # MLflow would make an empty database.
        raise FetchError(f"expected an MLflow registry, found no {registry}; set MLFLOW_TRACKING_URI")
    try:
        client = MlflowClient()
        found = (
            client.get_model_version_by_alias(name, alias)
            if alias
            else client.get_model_version(name, number)
        )
        version = found.tags.get(ZOO_VERSION, "")
        with cache.hold():
            entry = _find_whole(store, version)
            if entry is None:
                entry = _download(mlflow, f"{SCHEME}{name}/{found.version}", store)
    except MlflowException as error:
        reason = " ".join(str(error).split())
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise EntryNotFoundError(f"{registry} has no {ref}: {reason}") from error
        raise FetchError(f"expected {ref} at {registry}, got: {reason}; check MLFLOW_TRACKING_URI") from error
    if is_alias((selector, entry.version)):
        store.alias(entry.name, selector, entry.version)
    return entry


def _name_registry(uri: str) -> str:
    """A name of the registry to tell caches apart by: without a password, and not relative."""
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).resolve()}"
    if "://" not in uri:
        return f"file://{Path(uri.removeprefix('file:')).resolve()}"
    return re.sub(r"//[^/@]*@", "//", uri)


def _find_whole(store: PulledStore, version: str) -> Entry | None:
    """The entry of a version in the cache, if its files are whole."""
    for name in store.names():
        if version in store.versions(name):
            try:
                entry = store.open(name, version)
                entry.contents()
            except ZooError:  # fetched again
                return None
            return entry
    return None


def _download(mlflow: Any, uri: str, store: PulledStore) -> Entry:
    cache = store.cache
    with tempfile.TemporaryDirectory(dir=cache.root, prefix=TEMPORARY) as folder:
        place = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        if not (place / MANIFEST).is_file():
            raise ManifestError(f"expected an entry of the zoo at {uri}, found no {MANIFEST} there")
        data = (place / MANIFEST).read_bytes()
        entry = Entry(place, parse_manifest(data, uri))
        if not check_held(store, entry.name, entry.version, hashlib.sha256(data).hexdigest()):
            try:
                contents = {record.path: entry.read_file(record) for record in entry.manifest.files}
            except FileNotFoundError as error:
                raise IntegrityError(f"{uri} lacks {Path(error.filename).name}; register it again") from error
            files = {name: cache.add_file(data) for name, data in contents.items()}
            cache.assemble(store, entry.manifest, files | {MANIFEST: cache.add_file(data)})
    return store.open(entry.name, entry.version)
