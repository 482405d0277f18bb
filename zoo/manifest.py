"""The manifest of a zoo entry: all its metadata, and nothing executable.

It names an architecture by its id in the registry and never a class, module or path outside the
entry. Its version is a hash of its content, provenance left out, so the same result published twice
is one entry.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from tunable_models import ControlSpace, NetworkSpec, OmegaError
from zoo import strict_json
from zoo.compatibility import LibraryRange, check_library
from zoo.errors import ManifestError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
CONTENT_DIGITS = 16
"""Hexadecimal digits of a content version: 64 bits, far from any accidental collision."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SEMANTIC = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)
VERSION = re.compile(rf"[0-9a-f]{{{CONTENT_DIGITS}}}|{SEMANTIC.pattern}", re.ASCII)
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def _matching_pattern(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {what}, got {text!r}")
        return text

    return AfterValidator(check)


def _check_space(values: dict[str, Any]) -> dict[str, Any]:
    try:
        ControlSpace.from_dict(values)
    except AttributeError as error:  # a control whose name is no string
        raise OmegaError(f"expected controls with a name each: {error}") from error
    return values


Name = Annotated[str, _matching_pattern(NAME, "1 to 64 of a-z 0-9 . _ - starting with a letter or digit")]
Version = Annotated[
    str, _matching_pattern(VERSION, f"{CONTENT_DIGITS} hex digits or a version such as 1.0.0")
]
# One plain file name: entries have no folders, so there is no way out of one.
FileName = Annotated[str, _matching_pattern(FILE, "a plain file name")]
Sentence = Annotated[str, Field(max_length=2000)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ArchitectureId(_Strict):
    """Which network to build.

    Attributes:
        id: a name in ``tunable_models``' registry.
        config: options of that architecture.
    """

    id: Name
    config: dict[str, JsonValue]


class ImageInput(_Strict):
    """How images go through the network; see ``tunable_models.ImageContract``."""

    kind: Literal["image"] = "image"
    channels: Literal[3] = 3
    scale: int = Field(default=1, ge=1, le=16)
    multiple: int = Field(default=1, ge=1, le=4096)
    alignment: int = Field(default=1, ge=1, le=4096)
    radius_px: int | None = Field(default=None, ge=0, le=65536)


class License(_Strict):
    """What the entry may be used for.

    Attributes:
        weights: SPDX expression or name.
        data: licences of the training data, up to 2000 characters.
        note: one sentence on what that means for a user.

    Example:
        >>> License(weights="Apache-2.0", data="CC-BY-4.0").note
        ''
    """

    weights: str = Field(min_length=1, max_length=200)
    data: str = Field(min_length=1, max_length=2000)
    note: Sentence = ""


class FileRecord(_Strict):
    """A file of the entry: its name, size in bytes and hexadecimal SHA-256."""

    path: FileName
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(cls, path: str, data: bytes) -> "FileRecord":
        """The record of a file with that content.

        Raises:
            ManifestError: not a plain file name.
        """
        try:
            return cls(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        except ValidationError as error:
            raise ManifestError(_describe_problems(error)) from error


def _check_files(records: tuple[FileRecord, ...]) -> tuple[FileRecord, ...]:
    paths = [record.path.lower() for record in records]
    if len(set(paths)) != len(paths):
        raise ValueError("expected file names that differ in more than case")
    if MANIFEST in paths or WEIGHTS not in paths:
        raise ValueError(f"expected {WEIGHTS} among the files, and {MANIFEST} not")
    return records


class Manifest(_Strict):
    """One zoo entry.

    Attributes:
        name: of the model; its versions share it.
        version: a content version, or a semantic one given at promotion.
        task: what the model does, as a name to filter by.
        description: one or two sentences for a person.
        intended_use: what the model is for.
        limitations: what it is not for, and where it fails.
        architecture: the network.
        method: a rival method that gives the network its sliders; None where omega mixes its kernels.
        basis: how its kernels depend on omega.
        rank: of the kernels' differences; None for full.
        include: patterns of the tensors that are tunable; None for all that usually are.
        exclude: patterns of tensors that are not.
        space: its controls, as ``ControlSpace.to_dict`` gives them.
        input: how images go through it.
        metrics: results, typically a ``summary``, and ``tables`` for the card.
        license: of weights and data.
        library: versions of this library that can use it; None for entries of before it was recorded.
        provenance: where it came from; no part of the version.
        files: every file of the entry but the manifest.

    Example:
        >>> manifest = store.open("tiny").manifest
        >>> manifest.task, manifest.license.weights, manifest.input.radius_px
        ('denoise', 'CC0-1.0', 4)
        >>> Manifest.parse(manifest.model_dump(mode="json")) == manifest
        True
    """

    schema_version: Literal[1] = 1
    name: Name
    version: Version
    task: Name
    description: Sentence = ""
    intended_use: tuple[Sentence, ...] = ()
    limitations: tuple[Sentence, ...] = ()
    architecture: ArchitectureId
    method: Name | None = None
    basis: Name
    rank: int | None = Field(default=None, ge=1)
    include: tuple[Pattern, ...] | None = None
    exclude: tuple[Pattern, ...] = ()
    space: Annotated[dict[str, JsonValue], AfterValidator(_check_space)]
    input: ImageInput
    metrics: dict[str, JsonValue] = Field(default_factory=dict)
    license: License
    library: LibraryRange | None = None
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    files: Annotated[tuple[FileRecord, ...], AfterValidator(_check_files)]

    @classmethod
    def parse(cls, values: Any) -> "Manifest":
        """The manifest of plain JSON values.

        Raises:
            ManifestError: another schema version, or what is wrong with which field.
        """
        if not isinstance(values, Mapping):
            raise ManifestError(f"expected a JSON object, got {type(values).__name__}")
        schema = values.get("schema_version")
        if type(schema) is not int or schema != SCHEMA_VERSION:
            raise ManifestError(
                f"expected schema_version {SCHEMA_VERSION}, got {schema!r}; a newer zoo may read it: "
                "pip install --upgrade tunable-zoo"
            )
        check_library(values)
        try:
            # Through JSON text: there, and only there, strict pydantic takes a list for a tuple.
            return cls.model_validate_json(strict_json.encode_json(values))
        except ValidationError as error:
            raise ManifestError(_describe_problems(error)) from error

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest in an entry's folder.

        Raises:
            ManifestError: there is none that can be used.
        """
        path = folder / MANIFEST
        values = strict_json.read_json(path)
        try:
            return cls.parse(values)
        except ManifestError as error:
            raise ManifestError(f"{path}: {error}") from error

    def to_bytes(self) -> bytes:
        """Canonical JSON, as on disk."""
        return strict_json.encode_json(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as in the file."""
        # Without a method earlier versions of the library can read it, which know no such field.
        return self.model_dump(mode="json", exclude=set() if self.method else {"method"})

    def replace(self, **changes: Any) -> "Manifest":
        """A checked copy with other top-level fields, given as plain JSON values."""
        return Manifest.parse({**self.to_dict(), **changes})

    @property
    def control_space(self) -> ControlSpace:
        """The controls."""
        return ControlSpace.from_dict(self.space)

    def network_spec(self) -> NetworkSpec:
        """The network to build.

        Raises:
            TunableError: its architecture, config, method or basis is unknown or impossible.
        """
        return NetworkSpec.from_dict(self.to_dict())


LATER_FIELDS = ("intended_use", "library", "limitations", "method")


def content_version(manifest: Manifest) -> str:
    """The version that content asks for: a hash of all but version and provenance."""
    content = manifest.model_dump(mode="json", exclude={"version", "provenance"})
    for name in LATER_FIELDS:
        if not content[name]:  # entries that were published before it came keep their version
            del content[name]
    return hashlib.sha256(strict_json.encode_json(content)).hexdigest()[:CONTENT_DIGITS]


def _describe_problems(error: ValidationError) -> str:
    """The first problems of a validation, each with the path to its field."""
    items = error.errors()[:3]
    problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in items]
    if any(item["type"] == "extra_forbidden" for item in items):
        problems.append("a newer tunable-zoo may know it: pip install --upgrade tunable-zoo")
    return "; ".join(problems)
