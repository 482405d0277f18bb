"""Shards of sets at a URL, kept on this machine: bounded in size, shared by its processes."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import FileLock
from platformdirs import user_cache_path

from pipelines.core.disk import full_disk_told
from pipelines.core.errors import DataError
from pipelines.core.records import sha256_file
from pipelines.data.index import Shard
from pipelines.data.mapping import Bytes, mapped
from pipelines.data.remote import Remote

CACHE_VARIABLE = "TUNABLE_CACHE"
"""Names the folder of the cache; without it, a folder of the platform's choice."""

DEFAULT_CACHE_BYTES = 32 * 2**30
PATIENCE_S = 30.0
"""How long a shard waits for others to be let go, when all that fill the cache are in use."""

_FULL_REMEDY = (
    f"free some, lower train.compute.cache_gb, or name a folder on another disk by {CACHE_VARIABLE}"
)

_PARTIAL = ".partial-"


def cache_folder() -> Path:
    """Where shards are kept."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("tunable-zoo") / "shards"


@dataclass(frozen=True)
class ShardCache:
    """Shards by their digest; the least recently used go first, those in use stay.

    Args:
        limit_bytes: of all shards together, those being fetched included.
        folder: :func:`cache_folder` as a rule.
    """

    limit_bytes: int
    folder: Path

    def mapped(self, shard: Shard, remote: Remote) -> Bytes:
        """The bytes of a shard, which is fetched if it is not here; while they are in use it stays.

        Raises:
            DataError: it cannot be fetched, is not what the index says, there is no room, or the folder
                cannot be written to.
        """
        path = self.folder / shard.file
        while True:  # between fetching and mapping another process may make room
            try:
                found = mapped(path, shard.nbytes, shared=True)
                os.utime(path)
                return found
            except FileNotFoundError:
                self.fetch(shard, remote)
            except DataError:  # left by a crash of the machine
                path.unlink(missing_ok=True)

    def fetch(self, shard: Shard, remote: Remote) -> None:
        """Bring a shard here, checked; nothing to do if it is here.

        Raises:
            DataError: as :meth:`mapped`.
        """
        path = self.folder / shard.file
        with self._faults_told():
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{shard.file}.lock"):
                if not path.exists():
                    self._fetch(shard, remote, path)

    def _fetch(self, shard: Shard, remote: Remote, path: Path) -> None:
        with self._reserved(shard.nbytes) as partial:
            remote.download(shard.file, partial, _FULL_REMEDY)
            if (got := sha256_file(partial)) != shard.sha256:
                raise DataError(
                    f"expected SHA-256 {shard.sha256} of {remote.url}/{shard.file}, got {got}; write the "
                    "photographs again: tunable run prepare"
                )
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        """A block that writes into the folder: what the disk refuses becomes a DataError."""
        try:
            with full_disk_told(self.folder, _FULL_REMEDY):
                yield
        except OSError as error:
            reason = f"{type(error).__name__}: {error.strerror or error}"
            raise DataError(
                f"expected to keep shards in {self.folder}, got {reason}; name another by {CACHE_VARIABLE}"
            ) from error

    @contextmanager
    def _reserved(self, nbytes: int) -> Iterator[Path]:
        """A file for a shard on its way, whose room is kept free."""
        partial = self.folder / f"{_PARTIAL}{nbytes}-{uuid4().hex}"
        with self._with_room_for(nbytes):
            file = partial.open("xb")
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)  # says that its process lives
        try:
            with file:
                yield partial
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _with_room_for(self, nbytes: int) -> Iterator[None]:
        """One process at a time, with that much free."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with FileLock(self.folder / ".room.lock"):
                if self._make_room(nbytes):
                    yield
                    return
            if time.monotonic() > deadline:
                raise DataError(
                    f"expected room for {nbytes} bytes in {self.folder}, got {self.limit_bytes} bytes full "
                    "of shards in use; raise cache_bytes or prepare with a smaller prepare.shard_mb"
                )
            time.sleep(0.05)

    def _make_room(self, nbytes: int) -> bool:
        files = sorted(self._files(), key=lambda found: found.used_at)
        room = self.limit_bytes - sum(file.nbytes for file in files)
        for file in files:
            if room >= nbytes:
                break
            if _remove_unused(file.path):
                room += file.nbytes
        return room >= nbytes

    def _files(self) -> Iterator["_File"]:
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process finished or removed it
                status = path.stat()
                if path.name.startswith(_PARTIAL):
                    yield _File(path, int(path.name.removeprefix(_PARTIAL).split("-")[0]), 0.0)
                elif path.suffix == ".bin":
                    yield _File(path, status.st_size, status.st_mtime)


@dataclass(frozen=True)
class _File:
    path: Path
    nbytes: int
    used_at: float


def _remove_unused(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except OSError:  # someone reads it, or writes it
        return False
    return True
