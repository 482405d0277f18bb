"""A local cache of remote shards: bounded in size, shared by the processes of a machine, with prefetch."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from uuid import uuid4

from filelock import FileLock
from platformdirs import user_cache_path

from pipelines.core.errors import DataError, explain_full_disk
from pipelines.core.records import sha256_file
from pipelines.data.index import Bytes, Shard, map_file
from pipelines.data.remote import Remote
from zoo.durable import TEMPORARY

CACHE_VARIABLE = "TUNABLE_CACHE"
"""Environment variable with the folder of the cache; by default the platform's cache folder."""

DEFAULT_CACHE_BYTES = 32 * 2**30
PATIENCE_S = 30.0
"""How long to wait for a shard to be released, when all that fill the cache are in use."""

_FULL_REMEDY = (
    f"free some, lower train.compute.cache_gb, or name a folder on another disk by {CACHE_VARIABLE}"
)


def cache_folder() -> Path:
    """The folder of the cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("tunable-zoo") / "shards"


@dataclass(frozen=True)
class ShardCache:
    """Shards by digest; the least recently used are evicted first, those in use never.

    Args:
        limit_bytes: of all shards together, those being fetched included.
        folder: usually :func:`cache_folder`.
    """

    limit_bytes: int
    folder: Path

    def map_shard(self, shard: Shard, remote: Remote) -> Bytes:
        """Map a shard into memory, fetching it if needed; it stays cached while the map is in use.

        Raises:
            DataError: it cannot be fetched, is not what the index says, the cache or the disk is full, or the
                folder cannot be written to.
        """
        path = self.folder / shard.file
        while True:  # another process may evict it between fetching and mapping
            try:
                found = map_file(path, shard.nbytes, lock=True)
                os.utime(path)
                return found
            except FileNotFoundError:
                self.fetch(shard, remote)
            except DataError:  # left by a crash of the machine
                path.unlink(missing_ok=True)

    def fetch(self, shard: Shard, remote: Remote) -> None:
        """Download and verify a shard that is not cached yet.

        Raises:
            DataError: as :meth:`map_shard`.
        """
        path = self.folder / shard.file
        with self._explain_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{shard.file}.lock"):
                if not path.exists():
                    self._download(shard, remote, path)

    def _download(self, shard: Shard, remote: Remote, path: Path) -> None:
        with self._reserve(shard.nbytes) as partial:
            remote.download(shard.file, partial, _FULL_REMEDY)
            if (got := sha256_file(partial)) != shard.sha256:
                raise DataError(
                    f"expected SHA-256 {shard.sha256} of {remote.url}/{shard.file}, got {got}; write the "
                    "photographs again: tunable run prepare"
                )
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            with self._lock_listing():  # whoever lists the folder meanwhile could see neither name
                os.replace(partial, path)

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Turn what the disk refuses into a DataError."""
        try:
            with explain_full_disk(self.folder, _FULL_REMEDY):
                yield
        except OSError as error:
            reason = f"{type(error).__name__}: {error.strerror or error}"
            raise DataError(
                f"expected to keep shards in {self.folder}, got {reason}; name another by {CACHE_VARIABLE}"
            ) from error

    @contextmanager
    def _reserve(self, nbytes: int) -> Iterator[Path]:
        """Create a temporary file that counts against the limit; its lock says that its process lives."""
        partial = self.folder / f"{TEMPORARY}{nbytes}-{uuid4().hex}"
        with self._when_free(nbytes):
            file = partial.open("xb")
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        try:
            with file:
                yield partial
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _when_free(self, nbytes: int) -> Iterator[None]:
        """Run the block, one process at a time, when that many bytes are free."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with self._lock_listing():
                if self._evict_for(nbytes):
                    yield
                    return
            if time.monotonic() > deadline:
                raise DataError(
                    f"expected {nbytes} bytes free in {self.folder}, got {self.limit_bytes} bytes of shards, "
                    "all in use; raise train.compute.cache_gb or prepare with a smaller prepare.shard_mb"
                )
            time.sleep(0.05)

    def _lock_listing(self) -> FileLock:
        return FileLock(self.folder / ".evict.lock")

    def _evict_for(self, nbytes: int) -> bool:
        files = sorted(self._list_files(), key=lambda found: found.used_at)
        free = self.limit_bytes - sum(file.nbytes for file in files)
        for file in files:
            if free >= nbytes:
                break
            if remove_unused(file.path):
                free += file.nbytes
        return free >= nbytes

    def _list_files(self) -> Iterator["_CachedFile"]:
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process finished or removed it
                status = path.stat()
                if path.name.startswith(TEMPORARY):
                    yield _CachedFile(path, int(path.name.removeprefix(TEMPORARY).split("-")[0]), 0.0)
                elif path.suffix == ".bin":
                    yield _CachedFile(path, status.st_size, status.st_mtime)


@dataclass(frozen=True)
class _CachedFile:
    path: Path
    nbytes: int
    used_at: float


def remove_unused(path: Path) -> bool:
    """Remove a shard, unless a process reads or writes it; whether it is gone."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except OSError:  # another process reads or writes it
        return False
    return True


class Prefetcher:
    """Calls ``fetch`` for items in a background thread, one after the other.

    Args:
        fetch: fetches an item; errors are ignored here, because the reader of the item meets them again.
    """

    def __init__(self, fetch: Callable[[int], None]) -> None:
        self._fetch = fetch
        self._asked: tuple[int, ...] = ()
        self._left: list[int] = []
        self._thread: Thread | None = None

    def request(self, items: Sequence[int]) -> None:
        """Fetch these from now on, instead of those requested before; returns at once."""
        asked = tuple(items)
        if asked == self._asked:
            return
        before, self._asked = self._asked, asked
        # Assignments only, no lock: a lock that is held while a loader process forks stays locked there.
        self._left = [item for item in asked if item not in before or item in self._left]
        # A new thread each time: one that is about to end would not see the items.
        self._thread = Thread(target=self._run, args=(self._thread,), name="prefetch", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is left to fetch."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, before: Thread | None) -> None:
        if before is not None:
            before.join()
        while left := self._left:
            item = left.pop(0)
            try:
                self._fetch(item)
            except Exception:  # whatever it is, the items after it are still wanted
                continue
