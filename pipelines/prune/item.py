"""One thing that may be pruned: its files, its size and age, and why it can go or has to stay."""

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.durable import TEMPORARY

DAY_S = 86_400.0
LEFTOVER = f"{TEMPORARY}pruned-"
"""How the names of folders begin whose deletion was interrupted."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A thing on the disk.

    Attributes:
        kind: what it is a kind of, such as ``runs``.
        path: of the folder or file to show.
        why: why it can go.
        keep: why it has to stay, whatever its age; empty if it can go.
        nbytes: size.
        used_at: last change or use, in seconds since 1970.
        remove: deletes it; returns false if that was not possible, because somebody uses it by now.
    """

    kind: str
    path: Path
    why: str
    keep: str
    nbytes: int
    used_at: float
    remove: Callable[[], bool] = field(repr=False)

    @property
    def age_days(self) -> float:
        """Days since the last change or use."""
        return max(0.0, time.time() - self.used_at) / DAY_S


def make_folder_item(kind: str, path: Path, *, why: str, keep: str) -> Item:
    """The item of a whole folder; one that another process has locked has to stay.

    Args:
        kind: of the item.
        path: of the folder.
        why: why it can go.
        keep: why it has to stay; empty if nothing else is against it.
    """
    nbytes, used_at = measure_files(path.rglob("*"))
    with try_locks(sorted(path.rglob("*.lock"))) as free:
        keep = keep or ("" if free else "another process uses it")
    return Item(
        kind=kind,
        path=path,
        why=why,
        keep=keep,
        nbytes=nbytes,
        used_at=used_at or path.stat().st_mtime,
        remove=lambda: remove_folder(path),
    )


def measure_files(paths: Iterator[Path] | Sequence[Path]) -> tuple[int, float]:
    """Bytes of files, and when the last of them was changed, in seconds since 1970; 0 without any.

    Locks are left out: looking whether one is held may touch it.
    """
    nbytes, changed = 0, 0.0
    for path in paths:
        with suppress(FileNotFoundError):  # a process that runs replaces files
            status = path.lstat()
            if path.suffix != ".lock" and not path.is_dir():
                nbytes, changed = nbytes + status.st_size, max(changed, status.st_mtime)
    return nbytes, changed


@contextmanager
def try_locks(paths: Sequence[Path]) -> Iterator[bool]:
    """Hold locks for the length of the block, without waiting; whether all of them were free."""
    with ExitStack() as held:
        try:
            for path in (path for path in paths if path.parent.is_dir()):
                held.enter_context(FileLock(path).acquire(timeout=0))
        except (Timeout, PermissionError):  # of another user
            held.close()
            yield False
            return
        yield True


def remove_folder(folder: Path) -> bool:
    """Delete a folder, unless a process holds a lock in it.

    It is renamed first, so that a run that begins meanwhile finds all of it or nothing.
    """
    with try_locks(sorted(folder.rglob("*.lock"))) as free:
        if not free:
            return False
        doomed = folder.with_name(f"{LEFTOVER}{uuid.uuid4().hex}")
        folder.rename(doomed)
    shutil.rmtree(doomed)
    return True


def remove_leftovers(parent: Path) -> None:
    """Finish deletions in a folder that were interrupted."""
    for leftover in parent.glob(f"{LEFTOVER}*"):
        shutil.rmtree(leftover)
