"""Disks that are full: told before writing where the size is known, and in a sentence where it is not."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import DataError


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
def full_disk_told(folder: Path, remedy: str) -> Iterator[None]:
    """A block that writes into ``folder``: a full disk becomes a DataError that ends with ``remedy``."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(f"expected room to write in {folder}, got: {error.strerror}; {remedy}") from error
