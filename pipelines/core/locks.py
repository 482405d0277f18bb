"""Locks that keep two processes from the same work; the system frees one when its process ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.core.errors import PipelineError

TIMEOUT_S = 90.0
"""For the other process to end: one whose ``dvc repro`` was killed writes a checkpoint first."""


@contextmanager
def hold_lock(path: Path, what: str, report: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock within the block; wait for another process that holds it.

    Args:
        path: of the lock file, in a folder that is made if needed.
        what: is done under the lock and where, for messages.
        report: called with a message before waiting.

    Raises:
        PipelineError: the other process is still at work after a minute and a half.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"another {what} is running; waiting for it to end")
        try:
            lock.acquire(timeout=TIMEOUT_S)
        except Timeout:
            message = f"another {what} is still running; wait for it, or end it first"
            raise PipelineError(message) from None
    try:
        yield
    finally:
        lock.release()
