"""The index of a zoo elsewhere: its models, their versions and what to know before one is pulled.

``index.json`` lies beside the files, each of which is named by its SHA-256, so that a folder, a bucket, plain
static hosting or the assets of a release hold a zoo. The index names each entry's manifest by hash, and the
manifest the other files: who trusts the index, trusts every byte.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo import strict_json
from zoo.entry import Entry
from zoo.errors import EntryNotFoundError, ManifestError
from zoo.manifest import License, Name, Sentence, Version
from zoo.storage import LATEST, version_order

INDEX = "index.json"
MAX_BYTES = 2**24
"""Room for tens of thousands of versions."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    # Later versions may say more about an entry; whoever pushes beside them keeps that.
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class Deprecation(_Strict):
    """Why a version should not be used any more.

    Attributes:
        reason: a sentence.
        replacement: a reference to use instead, such as ``denoise@1.1.0``; empty if there is none.
    """

    reason: Sentence
    replacement: str = Field(default="", max_length=200)


class IndexedVersion(_Strict):
    """One version of a model.

    Attributes:
        sha256: of its manifest.
        manifest_bytes: size of the manifest.
        nbytes: of all files together.
        task: what it does.
        description: for people.
        controls: names of its sliders.
        license: of weights and data.
        deprecated: why it should not be used, if so.
    """

    sha256: Sha256
    manifest_bytes: int = Field(ge=2, le=strict_json.MAX_BYTES)
    nbytes: int = Field(ge=0)
    task: Name
    description: Sentence = ""
    controls: tuple[str, ...]
    license: License
    deprecated: Deprecation | None = None

    @classmethod
    def of(cls, entry: Entry, manifest: bytes, sha256: str) -> "IndexedVersion":
        """What the index says about an entry with this manifest."""
        said = entry.manifest
        return cls(
            sha256=sha256,
            manifest_bytes=len(manifest),
            nbytes=sum(file.size for file in said.files) + len(manifest),
            task=said.task,
            description=said.description,
            controls=tuple(control.name for control in said.control_space.controls),
            license=said.license,
        )


class IndexedModel(_Strict):
    """A model: its versions, and the aliases that point at them."""

    versions: dict[Version, IndexedVersion] = Field(min_length=1)
    aliases: dict[Name, Version] = Field(default_factory=dict)


class Index(_Strict):
    """What a zoo holds.

    Attributes:
        schema_version: of this form.
        models: by name.
    """

    schema_version: Literal[1] = 1
    models: dict[Name, IndexedModel] = Field(default_factory=dict)

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
        if version is None and selector == LATEST and versions:
            version = max(versions, key=version_order)
        if version not in versions:
            known = [*versions, *(model.aliases if model else ())] or sorted(self.models) or ["no entry"]
            raise EntryNotFoundError(f"{place} has no {name}@{selector}; it has {', '.join(known)}")
        return version, versions[version]

    def add(self, entry: Entry, described: IndexedVersion, aliases: tuple[str, ...]) -> "Index":
        """The index with one more version and with aliases that point at it."""
        before = self.models.get(entry.name)
        versions: dict[str, Any] = dict(before.versions) if before else {}
        pointers = dict(before.aliases) if before else {}
        model = IndexedModel(
            versions=versions | {entry.version: described},
            aliases=pointers | dict.fromkeys(aliases, entry.version),
        )
        return self.model_copy(update={"models": dict(self.models) | {entry.name: model}})
