"""A store: a folder of immutable entries, safe to publish into from several processes.

With the root ``zoo-store``::

    zoo-store/denoise-deblur/3f0c2a9be1d45a77/manifest.json
    zoo-store/denoise-deblur/3f0c2a9be1d45a77/model.safetensors
    zoo-store/denoise-deblur/3f0c2a9be1d45a77/README.md
    zoo-store/denoise-deblur/aliases.json          {"latest": "3f0c2a9be1d45a77"}
    zoo-store/denoise-deblur/alias-history.json    when each alias moved
    zoo-store/denoise-deblur/deprecations.json     of pulled ones: why not to use which version

An entry is written under a temporary name beside the others and renamed when it is whole and on the
disk; then ``latest`` moves. A crash in between leaves the old entries, perhaps the new one, and a
``.tmp-`` folder that is never listed.
"""

import os
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zoo import strict_json
from zoo.deprecation import DEPRECATIONS, Deprecation, read_deprecations
from zoo.durable import TEMPORARY, create_folder, replace_file, sync_folder, write_file
from zoo.entry import Entry
from zoo.errors import EntryExistsError, EntryNotFoundError, IntegrityError, ManifestError
from zoo.manifest import (
    MANIFEST,
    NAME,
    SEMANTIC,
    VERSION,
    FileRecord,
    Manifest,
    Name,
    Version,
    content_version,
)

ALIASES = "aliases.json"
HISTORY = "alias-history.json"
LATEST = "latest"
MAX_MOVES = 1000
"""Of aliases, that a model remembers."""
_LOCK_TIMEOUT_S = 30


class AliasMove(BaseModel):
    """That an alias was pointed at a version.

    Attributes:
        alias: its name.
        version: what it pointed at from then on.
        time: when, in UTC, such as ``2026-11-30T16:49:51+00:00``.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    alias: Name
    version: Version
    time: str = Field(max_length=40)

    @classmethod
    def now(cls, alias: str, version: str) -> "AliasMove":
        """A move at this moment."""
        return cls(alias=alias, version=version, time=datetime.now(UTC).isoformat(timespec="seconds"))


@dataclass(frozen=True)
class Store:
    """Entries under one root, which need not exist yet.

    Attributes:
        root: the folder; the head of :mod:`zoo.storage` shows its layout.

    Example:
        >>> store.alias("tiny", "stable", store.open("tiny").version)
        >>> store.names(), sorted(store.aliases("tiny"))
        (['tiny'], ['latest', 'stable'])
    """

    root: Path

    def names(self) -> list[str]:
        """Names of the models with at least one version, sorted."""
        return [name for name in _list_folders(self.root, NAME) if self.versions(name)]

    def versions(self, name: str) -> list[str]:
        """Versions of a model: content versions, then semantic ones from low to high."""
        return (
            sorted(_list_folders(self.root / name, VERSION), key=version_order)
            if NAME.fullmatch(name)
            else []
        )

    def path(self, name: str, version: str) -> Path:
        """The folder of that version, present or not.

        Raises:
            ManifestError: the name or version is not of the allowed form.
        """
        if not VERSION.fullmatch(version):
            raise ManifestError(f"expected a content version or one such as 1.0.0, got {version!r}")
        return self._home(name) / version

    def aliases(self, name: str) -> dict[str, str]:
        """Versions by alias.

        Raises:
            ManifestError: the alias file is malformed.
        """
        path = self._home(name) / ALIASES
        if not path.exists():
            return {}
        values = strict_json.read_json(path)
        if not isinstance(values, dict) or not all(map(is_alias, values.items())):
            raise ManifestError(f"{path}: expected versions by alias, got {values!r}")
        return values

    def alias_history(self, name: str) -> list[AliasMove]:
        """When the aliases of a model were moved and to what, oldest first.

        Raises:
            ManifestError: the file is malformed.
        """
        path = self._home(name) / HISTORY
        if not path.exists():
            return []
        try:
            return TypeAdapter(list[AliasMove]).validate_python(strict_json.read_json(path))
        except ValidationError as error:
            raise ManifestError(f"{path}: expected moves of aliases; delete it to begin anew") from error

    def deprecations(self, name: str) -> dict[str, Deprecation]:
        """Why versions should not be used any more, by version.

        Raises:
            ManifestError: the file is malformed.
        """
        path = self._home(name) / DEPRECATIONS
        return read_deprecations(path) if path.exists() else {}

    def open(self, name: str, selector: str = LATEST) -> Entry:
        """The entry of a version or alias; ``latest`` without an alias is the highest semantic version.

        Raises:
            EntryNotFoundError: no such version or alias here, or an alias to a version that is gone.
            ManifestError: the manifest or alias file, or that of deprecations, cannot be used.
            IntegrityError: the manifest is not that of this version.
        """
        versions = self.versions(name)
        version = selector if selector in versions else self._aliased(name, selector, versions)
        entry = Entry.open(self.path(name, version))
        if (entry.name, entry.version) != (name, version):
            raise IntegrityError(
                f"{entry.folder} holds {entry.name}@{entry.version}; move it where it belongs"
            )
        return replace(entry, deprecated=self.deprecations(name).get(version))

    def publish(self, contents: Mapping[str, bytes], manifest: Manifest) -> Entry:
        """Add an entry and point ``latest`` at it; the same content again only moves ``latest``.

        Args:
            contents: every file the manifest names.
            manifest: with the records of exactly those files.

        Raises:
            IntegrityError: contents and manifest differ, or the version on disk is damaged.
            EntryExistsError: the version exists with other content.
        """
        if sorted(manifest.files, key=_record_path) != [
            FileRecord.of(p, contents[p]) for p in sorted(contents)
        ]:
            raise IntegrityError(f"the files given for {manifest.name} are not those of its manifest")
        target = self.path(manifest.name, manifest.version)
        if not target.exists():
            self._write(target, {**contents, MANIFEST: manifest.to_bytes()})
        entry = self.open(manifest.name, manifest.version)
        if content_version(entry.manifest) != content_version(manifest):
            raise EntryExistsError(f"{target} exists with other content; publish under another version")
        entry.contents()
        self.alias(manifest.name, LATEST, manifest.version)
        return entry

    def alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version; readers see the old or the new one.

        Raises:
            EntryNotFoundError: the version is not here.
            ManifestError: the alias is no name, or looks like a version.
        """
        if version not in self.versions(name):
            raise EntryNotFoundError(self._absent(name, version))
        if not is_alias((alias, version)):
            raise ManifestError(f"expected an alias such as 'stable', got {alias!r}")
        if self.aliases(name).get(alias) == version:
            return  # also where nothing can be written
        path = self._home(name) / ALIASES
        with FileLock(path.with_name(".aliases.lock"), timeout=_LOCK_TIMEOUT_S):
            aliases = self.aliases(name)
            if aliases.get(alias) != version:
                moves = [*self.alias_history(name), AliasMove.now(alias, version)][-MAX_MOVES:]
                replace_file(path, strict_json.encode_json({**aliases, alias: version}))
                values = [move.model_dump(mode="json") for move in moves]
                replace_file(path.with_name(HISTORY), strict_json.encode_json(values))

    def remove(self, name: str, version: str) -> bool:
        """Delete an entry that no alias points at; false if there is none, or one that is pointed at.

        It is renamed first: readers, and a crash, see all of it or nothing.
        """
        path = self.path(name, version)
        with FileLock(self._home(name) / ".aliases.lock", timeout=_LOCK_TIMEOUT_S):
            if not path.is_dir() or version in self.aliases(name).values():
                return False
            doomed = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
            path.rename(doomed)
            sync_folder(path.parent)
        shutil.rmtree(doomed)
        return True

    def _home(self, name: str) -> Path:
        # Names are checked wherever they become paths, so that none leads out of the root.
        if not NAME.fullmatch(name):
            raise ManifestError(f"expected a name such as 'denoise-deblur', got {name!r}")
        return self.root / name

    def _write(self, target: Path, contents: Mapping[str, bytes]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with create_folder(target) as folder:
                for path, data in contents.items():
                    write_file(folder / path, data)
        except OSError:
            if not target.exists():  # otherwise another process published it first
                raise
        sync_folder(target.parent)
        sync_folder(self.root)

    def _aliased(self, name: str, selector: str, versions: list[str]) -> str:
        version = self.aliases(name).get(selector) if versions else None
        if version is None and selector == LATEST:
            version = choose_default(versions)
        if version not in versions:
            raise EntryNotFoundError(self._absent(name, selector))
        return version

    def _absent(self, name: str, selector: str) -> str:
        known = [*self.versions(name), *(self.aliases(name) if NAME.fullmatch(name) else ())]
        return f"{self.root} has no {name}@{selector}; it has {', '.join(known) or 'no version of it'}"


def _list_folders(root: Path, pattern: re.Pattern[str]) -> list[str]:
    if not root.is_dir():
        return []
    with os.scandir(root) as items:
        return sorted(
            item.name for item in items if pattern.fullmatch(item.name) and item.is_dir(follow_symlinks=False)
        )


def choose_default(versions: Sequence[str]) -> str | None:
    """The version that a name alone means without an alias: the highest semantic one, or the only one.

    Content versions have no order.
    """
    highest = max(versions, key=version_order, default=None)
    return highest if len(versions) == 1 or (highest and SEMANTIC.fullmatch(highest)) else None


def version_order(version: str) -> tuple[int, ...]:
    """A key to sort by: content versions, then semantic ones from low to high."""
    return tuple(map(int, version.split("."))) if SEMANTIC.fullmatch(version) else (-1,)


def is_alias(item: tuple[object, object]) -> bool:
    """Whether a name and a version are an alias: the name is of a model's form and looks like no version."""
    alias, version = item
    return (
        isinstance(alias, str)
        and isinstance(version, str)
        and NAME.fullmatch(alias) is not None
        and VERSION.fullmatch(alias) is None
        and VERSION.fullmatch(version) is not None
    )


def _record_path(record: FileRecord) -> str:
    return record.path
