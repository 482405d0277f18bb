"""Writing that survives a crash: whole files, then names that lead to them."""

import os
import uuid
from pathlib import Path


def write_file(path: Path, data: bytes) -> None:
    """Create ``path`` with ``data`` on the disk, not only in its cache.

    Raises:
        FileExistsError: the file is there already.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Set the content of ``path`` so that a reader, or a crash, sees the old or the new one."""
    temporary = temporary_beside(path)
    try:
        write_file(temporary, data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def temporary_beside(path: Path) -> Path:
    """A fresh name in the folder of ``path``; the leading dot keeps it out of every listing."""
    return path.with_name(f".tmp-{uuid.uuid4().hex}")


def sync_folder(folder: Path) -> None:
    """Make the names inside ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
