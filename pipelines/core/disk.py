"""Clear errors for full disks: before writing where the size is known, otherwise when a write fails."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.core.errors import FULL, DataError, PipelineError


def require_free_space(folder: Path, nbytes: int, what: str) -> None:
    """Check that ``nbytes`` are free on the disk of an existing folder; ``what`` names the data.

    Raises:
        DataError: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise DataError(
            f"expected {nbytes / 1e6:.0f} MB free for {what} in {folder}, got {free / 1e6:.0f} MB; free some"
        )


@contextmanager
def explain_full_disk(
    folder: Path, remedy: str, *, room: str = "room to write", kind: type[PipelineError] = DataError
) -> Iterator[None]:
    """Turn a full disk or quota, in a block that writes into ``folder``, into an error with a remedy.

    Args:
        folder: that the block writes into or creates.
        remedy: end of the message.
        room: what was expected to fit, in the message.
        kind: class of the error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = (
            _describe_free(folder) if error.errno == errno.ENOSPC else ""
        )  # a quota says nothing about the disk
        raise kind(f"expected {room} in {folder}, got: {error.strerror}{free}; {remedy}") from error


def _describe_free(folder: Path) -> str:
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.2f} MB free now)"
    except OSError:  # the folder itself could not be created
        return ""
