"""An entry on disk: one folder with a manifest and exactly the files it names."""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from zoo.deprecation import Deprecation
from zoo.errors import IntegrityError
from zoo.manifest import CONTENT_DIGITS, MANIFEST, FileRecord, Manifest, content_version


@dataclass(frozen=True)
class Entry:
    """An immutable, published model.

    Attributes:
        folder: of its files.
        manifest: what it says about itself.
        deprecated: why it should not be used any more, as the zoo said that it was pulled from; else None.

    Example:
        >>> entry = store.open("tiny")
        >>> sorted(entry.contents())
        ['README.md', 'model.safetensors']
    """

    folder: Path
    manifest: Manifest
    deprecated: Deprecation | None = field(default=None, compare=False)  # of the zoo, not of the entry

    @classmethod
    def open(cls, folder: Path) -> "Entry":
        """The entry in a folder; reads the manifest only.

        Raises:
            ManifestError: no manifest that can be used.
            IntegrityError: the manifest was edited, so that its content version is not its own.
        """
        manifest = Manifest.read(folder)
        check_version(manifest, str(folder / MANIFEST))
        return cls(folder, manifest)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Version of this entry."""
        return self.manifest.version

    def contents(self) -> dict[str, bytes]:
        """Every file but the manifest, by name, each verified by size and SHA-256.

        What is returned is what was hashed, so a file that changes later makes no difference.

        Raises:
            IntegrityError: a file is missing, added, changed, or no regular file.
        """
        try:
            self._refuse_strays()
            return {record.path: self.read_file(record) for record in self.manifest.files}
        except FileNotFoundError as error:
            raise IntegrityError(f"{error.filename} was removed while {self.folder} was read") from error

    def _refuse_strays(self) -> None:
        expected = {MANIFEST, *(record.path for record in self.manifest.files)}
        found = set(os.listdir(self.folder))
        if strays := found - expected:
            raise IntegrityError(
                f"{self.folder} holds files not in its manifest: {', '.join(sorted(strays))}; remove them"
            )
        if missing := expected - found:
            raise IntegrityError(
                f"{self.folder} lacks {', '.join(sorted(missing))}; fetch or publish the entry again"
            )

    def read_file(self, record: FileRecord) -> bytes:
        """One file, verified by size and SHA-256.

        Raises:
            IntegrityError: it is changed, or no regular file.
            FileNotFoundError: it is missing.
        """
        path = self.folder / record.path
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise IntegrityError(f"expected a regular file at {path}, got a link, folder or device")
        if status.st_size != record.size:
            raise IntegrityError(f"{path}: expected {record.size} bytes, got {status.st_size}")
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != record.sha256:
            raise IntegrityError(
                f"{path}: expected SHA-256 {record.sha256}, got {digest}; fetch or publish the entry again"
            )
        return data


def check_version(manifest: Manifest, place: str) -> None:
    """Check that a content version is that of the content.

    Raises:
        IntegrityError: the manifest was edited; ``place`` says which.
    """
    if len(manifest.version) == CONTENT_DIGITS and manifest.version != content_version(manifest):
        raise IntegrityError(
            f"{place} says version {manifest.version}, its content is {content_version(manifest)}: it was "
            "edited; fetch or publish the entry again"
        )
