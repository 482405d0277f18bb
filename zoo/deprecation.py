"""Why a version should not be used any more, and the file in which a store remembers that.

Apart from the index of a zoo elsewhere, which says it first: entries and stores know it too, and an index is
made of these.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zoo import strict_json
from zoo.errors import ManifestError
from zoo.manifest import Sentence, Version

DEPRECATIONS = "deprecations.json"


class Deprecation(BaseModel):
    """Why a version should not be used any more.

    Attributes:
        reason: a sentence.
        replacement: a reference to use instead, such as ``denoise@1.1.0``; empty if there is none.
    """

    # Later versions may say more; whoever writes an index keeps that.
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    reason: Sentence
    replacement: str = Field(default="", max_length=200)

    def describe(self) -> str:
        """Reason and replacement in words."""
        return f"{self.reason.rstrip('.')}; use {self.replacement}" if self.replacement else self.reason


def read_deprecations(path: Path) -> dict[str, Deprecation]:
    """Reasons by version in a file.

    Raises:
        ManifestError: the file is malformed.
    """
    try:
        return TypeAdapter(dict[Version, Deprecation]).validate_python(strict_json.read_json(path))
    except ValidationError as error:
        raise ManifestError(f"{path}: expected reasons by version; delete it, and pull again") from error
