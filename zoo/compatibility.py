"""Versions of this library that can use an entry.

A manifest and an index say the lowest version, and the highest if there is one; both are checked before any
weights are fetched. The policy is in the chapter "Share models" of the manual.
"""

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.errors import ManifestError

PACKAGE = "tunable-zoo"
COMPATIBLE_SINCE = "0.3.0"
"""The lowest version that reads what this one publishes: raised whenever manifests say something new."""
METHODS_SINCE = "0.4.0"
"""The lowest version that reads entries of rival methods."""

RELEASE = r"^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$"


class LibraryRange(BaseModel):
    """The versions of this library that can use an entry.

    Attributes:
        lowest: the first, such as ``0.3.0``.
        highest: the last that was found to work; None if no later one is known to fail.

    Example:
        >>> from zoo.compatibility import LibraryRange
        >>> LibraryRange(lowest="0.3.0").describe()
        '0.3.0 or later'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    lowest: str = Field(pattern=RELEASE)
    highest: str | None = Field(default=None, pattern=RELEASE)

    def describe(self) -> str:
        """The range in words."""
        return f"{self.lowest} or later" if self.highest is None else f"{self.lowest} to {self.highest}"

    def check(self, what: str) -> None:
        """Check that the installed version is one of them; ``what`` names the entry.

        Raises:
            ManifestError: it is not.
        """
        installed = find_installed()
        if installed is None:
            return
        have = _parse_release(installed)
        if have < _parse_release(self.lowest):
            remedy = "pip install --upgrade tunable-zoo"
        elif self.highest is not None and have > _parse_release(self.highest):
            remedy = f"look for a newer version of the model, or pip install tunable-zoo=={self.highest}"
        else:
            return
        raise ManifestError(f"{what} needs {PACKAGE} {self.describe()}, got {installed}; {remedy}")


def find_installed() -> str | None:
    """The installed version of this library; None where its files are used without being installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None


def check_library(values: Mapping[str, Any]) -> None:
    """Check the field ``library`` of a manifest, before the others: a later library may write them otherwise.

    Raises:
        ManifestError: the installed version cannot use it; a malformed field is told by who parses it.
    """
    try:
        LibraryRange.model_validate(values.get("library")).check(
            f"{values.get('name')}@{values.get('version')}"
        )
    except ValidationError:
        return


def _parse_release(text: str) -> tuple[int, ...]:
    """The three numbers of a version; those before a release, such as 0.3.0.dev0, count as it."""
    match = re.match(r"\d+(\.\d+){0,2}", text)
    numbers = match[0].split(".") if match else []
    return tuple(int(number) for number in [*numbers, "0", "0", "0"][:3])
