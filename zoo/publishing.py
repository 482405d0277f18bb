"""Publish a trained network as an immutable entry, and promote entries to semantic versions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunable_models import NetworkSpec, TunableError, TunableNetwork
from zoo.card import render_card
from zoo.catalog import bundled_store, resolve, user_store
from zoo.compatibility import COMPATIBLE_SINCE, METHODS_SINCE
from zoo.entry import Entry
from zoo.errors import ManifestError
from zoo.manifest import (
    CARD,
    CONTENT_DIGITS,
    SCHEMA_VERSION,
    SEMANTIC,
    WEIGHTS,
    FileRecord,
    License,
    Manifest,
    content_version,
)
from zoo.storage import Store
from zoo.weights import describe_package, encode_weights, rebuild_network


def publish(
    network: TunableNetwork,
    *,
    name: str,
    task: str,
    license: License | Mapping[str, str],
    description: str = "",
    intended_use: Sequence[str] = (),
    limitations: Sequence[str] = (),
    metrics: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes | Path] | None = None,
    store: Store | None = None,
) -> Entry:
    """Make an immutable entry of a trained network; the same content again gives the same entry.

    Args:
        network: of a registered architecture; its ``spec`` says what to build again.
        name: of the model.
        task: a name to filter by.
        license: of weights and data.
        description: for people.
        intended_use: what the model is for, one sentence a use.
        limitations: what it is not for, and where it fails.
        metrics: JSON values. The model card shows ``tables``, a list of objects with ``title``, ``columns``
            and ``rows``; without them, ``summary``.
        provenance: JSON values that differ from run to run; no part of the version. The installed package
            that registers the network's architecture is added.
        files: further files by plain name: bytes, or paths to read. The card shows ``preview.png`` and
            ``curves.png``, and names the others.
        store: where to; the user's by default.

    Raises:
        ManifestError: a field is malformed, or the network is of no registered architecture.
        IntegrityError: weights that are not finite, or a network that was changed after it was built.

    Example:
        >>> from tunable_models import ControlSpace, build, make_tunable
        >>> network = make_tunable(build("edsr", width=8, blocks=1), ControlSpace.box("denoise"))
        >>> entry = publish(
        ...     network,
        ...     name="tiny",
        ...     task="denoise",
        ...     license={"weights": "CC0-1.0", "data": "CC0-1.0"},
        ...     store=store,
        ... )
        >>> entry.folder.parent.name, len(entry.version)
        ('tiny', 16)
    """
    contents = {WEIGHTS: encode_weights(network), **_read_files(files or {})}
    draft = Manifest.parse(
        {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            "version": "0" * CONTENT_DIGITS,
            "task": task,
            "description": description,
            "intended_use": list(intended_use),
            "limitations": list(limitations),
            **_describe_network(network.spec),
            "metrics": dict(metrics or {}),
            "license": license.model_dump() if isinstance(license, License) else dict(license),
            "library": {"lowest": COMPATIBLE_SINCE if network.spec.rival is None else METHODS_SINCE},
            "provenance": {**(provenance or {}), **describe_package(network.spec.architecture)},
            "files": _record_files(contents),
        }
    )
    rebuild_network(draft, contents[WEIGHTS])  # what is published can be loaded
    contents[CARD] = render_card(draft).encode()
    manifest = draft.replace(files=_record_files(contents))
    return (store or user_store()).publish(contents, manifest.replace(version=content_version(manifest)))


def promote(
    ref: str | Path,
    version: str,
    target: Store | None = None,
    stores: Iterable[Store] | None = None,
) -> Entry:
    """Copy a verified entry into a store, the bundled one by default, under a semantic version.

    Raises:
        EntryNotFoundError: as :func:`resolve`.
        ManifestError: the version is not of the form 1.0.0.
        IntegrityError: the entry is damaged.
        EntryExistsError: that version exists with other content.

    Example:
        >>> promote("tiny", "1.0.0", target=store, stores=[store]).version
        '1.0.0'
    """
    if not SEMANTIC.fullmatch(version):
        raise ManifestError(f"expected a semantic version such as 1.0.0, got {version!r}")
    entry = resolve(ref, stores)
    contents = entry.contents()
    rebuild_network(entry.manifest, contents[WEIGHTS])
    origin = {**entry.manifest.provenance, "promoted_from": entry.version}
    manifest = entry.manifest.replace(version=version, provenance=origin)
    return (target or bundled_store()).publish(contents, manifest)


def _read_files(files: Mapping[str, bytes | Path]) -> dict[str, bytes]:
    for reserved in (WEIGHTS, CARD):
        if reserved in files:
            raise ManifestError(f"{reserved} is written by publish; give the file another name")
    return {path: data if isinstance(data, bytes) else data.read_bytes() for path, data in files.items()}


def _record_files(contents: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [FileRecord.of(path, contents[path]).model_dump() for path in sorted(contents)]


def _describe_network(spec: NetworkSpec) -> dict[str, Any]:
    try:
        values = spec.to_dict()
    except TunableError as error:
        raise ManifestError(f"cannot publish: {error}") from error
    del values["train"]  # how it was trained changes nothing in what it computes
    return {**values, "input": {"kind": "image", **asdict(spec.contract)}}
