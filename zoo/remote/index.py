"""The index of a zoo elsewhere: its models, their versions and what to know before one is pulled.

``index.json`` lies beside the files, each of which is named by its SHA-256, so that a folder, a bucket, plain
static hosting or the assets of a release hold a zoo. The index names each entry's manifest by hash, and the
manifest the other files: who trusts the index, trusts every byte.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo import strict_json
from zoo.compatibility import LibraryRange
from zoo.deprecation import Deprecation
from zoo.entry import Entry
from zoo.errors import EntryExistsError, EntryNotFoundError, ManifestError
from zoo.manifest import Manifest, Name, Sentence, Version, content_version
from zoo.storage import LATEST, MAX_MOVES, AliasMove, choose_default

INDEX = "index.json"
MAX_BYTES = 2**24
"""Room for tens of thousands of versions."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Open(BaseModel):
    # Later versions may say more about an entry; whoever pushes beside them keeps that.
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class IndexedLicense(_Open):
    """As :class:`zoo.License`."""

    weights: str
    data: str
    note: str = ""


class IndexedLibrary(LibraryRange):
    """As the range in a manifest, which later versions may say more about."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class IndexedVersion(_Open):
    """One version of a model.

    Attributes:
        sha256: of its manifest.
        manifest_bytes: size of the manifest.
        content: its content version, the same for the same content under another version or provenance.
        nbytes: of the files that its manifest names, together.
        task: what it does.
        description: for people.
        controls: names of its sliders.
        license: of weights and data.
        library: versions of this library that can use it; None if any can.
        deprecated: why it should not be used, if so.
    """

    sha256: Sha256
    manifest_bytes: int = Field(ge=2, le=strict_json.MAX_BYTES)
    content: Version
    nbytes: int = Field(ge=0)
    task: Name
    description: Sentence = ""
    controls: tuple[str, ...]
    license: IndexedLicense
    library: IndexedLibrary | None = None
    deprecated: Deprecation | None = None

    @classmethod
    def of(cls, manifest: Manifest, sha256: str) -> "IndexedVersion":
        """What the index says about the entry of a manifest with that SHA-256."""
        return cls(
            sha256=sha256,
            manifest_bytes=len(manifest.to_bytes()),
            content=content_version(manifest),
            nbytes=sum(file.size for file in manifest.files),
            task=manifest.task,
            description=manifest.description,
            controls=manifest.control_space.names,
            license=IndexedLicense(**manifest.license.model_dump()),
            library=None if manifest.library is None else IndexedLibrary(**manifest.library.model_dump()),
        )


class IndexedModel(_Open):
    """A model: its versions, the aliases that point at them, and when each alias moved, oldest first."""

    versions: dict[Version, IndexedVersion] = Field(min_length=1)
    aliases: dict[Name, Version] = Field(default_factory=dict)
    history: tuple[AliasMove, ...] = ()


class Signature(_Open):
    """Who vouches for an index.

    Attributes:
        key: public key, as OpenSSH writes it.
        value: of all else in the index, in Base64.
    """

    key: str
    value: str


class Index(_Open):
    """What a zoo holds.

    Attributes:
        schema_version: of this form.
        serial: how often the index was written.
        models: by name.
        signature: of the index, if it has one; :mod:`zoo.remote.signatures` checks it.
    """

    schema_version: Literal[1] = 1
    serial: int = Field(default=0, ge=0)
    models: dict[Name, IndexedModel] = Field(default_factory=dict)
    signature: Signature | None = None

    @classmethod
    def parse(cls, data: bytes) -> "Index":
        """The index in a file.

        Raises:
            ManifestError: it is no index, or one of a later form.
        """
        if data.lstrip()[:1] == b"<":
            raise ManifestError("expected an index of a zoo, got a web page")
        values = strict_json.parse_json(data, MAX_BYTES)
        schema = values.get("schema_version") if isinstance(values, dict) else None
        if schema != 1:
            raise ManifestError(
                f"expected an index of a zoo with schema_version 1, got {schema!r}; a newer tunable-zoo may "
                "read it: pip install --upgrade tunable-zoo"
            )
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ManifestError(f"expected an index of a zoo, got {place}: {first['msg']}") from error

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return strict_json.encode_json(self.model_dump(mode="json"))

    def find(self, name: str, selector: str, place: str) -> tuple[str, IndexedVersion]:
        """A version and what is said about it.

        Args:
            name: of the model.
            selector: a version or an alias; ``latest`` without an alias is the highest semantic version.
            place: where this index is, for the message.

        Raises:
            EntryNotFoundError: no such model, version or alias.
        """
        model = self.models.get(name)
        versions = {} if model is None else model.versions
        version = selector if selector in versions else (model.aliases.get(selector) if model else None)
        if version is None and selector == LATEST:
            version = choose_default([*versions])
        if version not in versions:
            known = [*versions, *(model.aliases if model else ())] or sorted(self.models) or ["no entry"]
            raise EntryNotFoundError(f"{place} has no {name}@{selector}; it has {', '.join(known)}")
        return version, versions[version]

    def check_new(self, manifest: Manifest, place: str) -> None:
        """Check that a version is not there with other content.

        Raises:
            EntryExistsError: it is.
        """
        model = self.models.get(manifest.name)
        indexed = None if model is None else model.versions.get(manifest.version)
        if indexed is not None and indexed.content != content_version(manifest):
            raise EntryExistsError(
                f"{place} has {manifest.name}@{manifest.version} with other content; publish another version"
            )

    def add(self, entry: Entry, indexed: IndexedVersion, aliases: Sequence[str]) -> "Index":
        """The index with an entry and with aliases that point at it; what is said of it already stays."""
        before = self.models.get(entry.name)
        versions: dict[str, Any] = {entry.version: indexed} | (dict(before.versions) if before else {})
        pointers = dict(before.aliases) if before else {}
        moved = [alias for alias in aliases if pointers.get(alias) != entry.version]
        history = [*(before.history if before else ()), *(AliasMove.now(a, entry.version) for a in moved)]
        changes: dict[str, Any] = {
            "versions": versions,
            "aliases": pointers | dict.fromkeys(aliases, entry.version),
            "history": tuple(history[-MAX_MOVES:]),
        }
        return self._with_model(
            entry.name, before.model_copy(update=changes) if before else IndexedModel(**changes)
        )

    def deprecate(self, name: str, version: str, why: Deprecation | None) -> "Index":
        """The index with a reason not to use a version any more, or without it; the version is in it."""
        model = self.models[name]
        changed = model.versions[version].model_copy(update={"deprecated": why})
        versions = dict(model.versions) | {version: changed}
        return self._with_model(name, model.model_copy(update={"versions": versions}))

    def _with_model(self, name: str, model: IndexedModel) -> "Index":
        return self.model_copy(update={"models": dict(self.models) | {name: model}})
