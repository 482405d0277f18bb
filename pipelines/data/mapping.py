"""Files of pixels, mapped into memory."""

import fcntl
import mmap
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.core.errors import DataError

Bytes = npt.NDArray[np.uint8]


def mapped(path: Path, nbytes: int, shared: bool = False) -> Bytes:
    """The bytes of a file, read when they are looked at; read-only.

    Args:
        path: of the file.
        nbytes: that it must have.
        shared: hold a shared lock on the file for as long as the bytes, or a view of them, are in use.

    Raises:
        FileNotFoundError: there is no file.
        DataError: it has another size.
    """
    with path.open("rb") as file:
        if shared:
            # The map keeps a duplicate of this descriptor, and with it the lock.
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_SH)
        # Reading past the end of a file that was cut short would kill the process, so the size comes first.
        got = file.seek(0, 2)
        if got != nbytes:
            raise DataError(
                f"expected {nbytes} bytes in {path.name} in {path.parent}, got {got}; "
                "write the photographs again: tunable run prepare"
            )
        return np.frombuffer(mmap.mmap(file.fileno(), nbytes, access=mmap.ACCESS_READ), np.uint8)
