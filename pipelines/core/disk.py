"""Disks that are full: told before writing where the size is known, and in a sentence where it is not."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.core.errors import FULL, DataError, PipelineError


def check_room(folder: Path, nbytes: int, what: str) -> None:
    """Refuse to begin what cannot be finished.

    Args:
        folder: that exists, on the disk that will be written to.
        nbytes: that will be written.
        what: will be written.

    Raises:
        DataError: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise DataError(
            f"expected {nbytes / 1e6:.0f} MB free for {what} in {folder}, got {free / 1e6:.0f} MB; free some"
        )


@contextmanager
def full_disk_told(
    folder: Path, remedy: str, *, room: str = "room to write", kind: type[PipelineError] = DataError
) -> Iterator[None]:
    """A block that writes into ``folder``: a full disk becomes an error of ours.

    Args:
        folder: that is written into, or made.
        remedy: ends the message.
        room: begins it: for what there was none, and how much of it, where that is known.
        kind: of the error.

    Raises:
        PipelineError: of that kind: the disk is full, or what one may have of it.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = _free(folder) if error.errno == errno.ENOSPC else ""  # a quota is smaller than the disk
        raise kind(f"expected {room} in {folder}, got: {error.strerror}{free}; {remedy}") from error


def _free(folder: Path) -> str:
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.2f} MB free now)"
    except OSError:  # there was no room for the folder itself
        return ""
