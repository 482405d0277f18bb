"""The receipt of a publication, and the store of a work tree, whose default entry is that of the receipt.

The store of the main work tree holds what all its branches and experiments published. The receipt, a DVC
out, is of this branch: by name alone a model is the entry of the receipt, and never silently another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.core.records import read_json, write_json_atomic
from zoo import Entry, EntryNotFoundError, Store
from zoo.storage import LATEST


def write_receipt(path: Path, entry: Entry) -> None:
    """Record which entry was published; the same bytes for the same entry."""
    files = [file.model_dump() for file in entry.manifest.files]
    write_json_atomic(path, {"schema": 1, "name": entry.name, "version": entry.version, "files": files})


def read_receipt(path: Path) -> tuple[str, str] | None:
    """Name and version of the published entry; None without a receipt that can be read."""
    try:
        receipt: Mapping[str, Any] = read_json(path)
        return str(receipt["name"]), str(receipt["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class WorkTreeStore(Store):
    """The local store, with ``latest`` as the version that this work tree published last.

    Attributes:
        receipt: of the work tree, present or not.
    """

    receipt: Path

    @cached_property
    def published(self) -> tuple[str, str] | None:
        """Name and version of the receipt's entry."""
        return read_receipt(self.receipt)

    def names(self) -> list[str]:
        """As of any store, with the published model even if its entry is missing."""
        return sorted({*super().names(), *([self.published[0]] if self.published else [])})

    def versions(self, name: str) -> list[str]:
        """As of any store, with the published version even if it is missing."""
        known = super().versions(name)
        pinned = self._pinned(name)
        return known if pinned is None or pinned in known else [*known, pinned]

    def aliases(self, name: str) -> dict[str, str]:
        """As of any store, with ``latest`` as the published version."""
        pinned = self._pinned(name)
        return super().aliases(name) | ({LATEST: pinned} if pinned else {})

    def open(self, name: str, selector: str = LATEST) -> Entry:
        """As of any store.

        Raises:
            EntryNotFoundError: there is no such entry, or not the one of the receipt; the message says how
                to make it again.
        """
        pinned = self._pinned(name)
        if pinned and selector in (pinned, LATEST) and not self.path(name, pinned).is_dir():
            raise EntryNotFoundError(
                f"expected {name}@{pinned}, which {self.receipt} says was published, found no such entry in "
                f"{self.root}; make it from the artifacts: dvc pull, then tunable run publish"
            )
        return super().open(name, selector)

    def _pinned(self, name: str) -> str | None:
        return self.published[1] if self.published and self.published[0] == name else None
