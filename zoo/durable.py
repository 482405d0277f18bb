"""Crash-safe writing: a file or folder is whole or absent, for readers and after a crash.

Everything is written under a temporary name in the same folder, synced to the disk and then renamed.
Temporary names begin with ``.tmp-``, so that listings can skip them.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".tmp-"
"""How the names of unfinished files and folders begin."""


def write_file(path: Path, data: bytes) -> None:
    """Create ``path`` with ``data`` synced to the disk.

    Raises:
        FileExistsError: the file exists already.
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Set the content of ``path``: a reader, or a crash, sees the old content or the new one."""
    with replacement_of(path) as temporary:
        write_file(temporary, data)


@contextmanager
def replacement_of(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write a file to; it replaces ``path`` when the block succeeds."""
    temporary = _temporary_beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # os.replace keeps both names where they are links to one file
    sync_folder(path.parent)


@contextmanager
def create_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; it becomes ``target`` when the block succeeds.

    Several processes may try at once: the first one wins.

    Raises:
        OSError: ``target`` exists already, and is not empty.
    """
    temporary = _temporary_beside(target)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        sync_folder(temporary)
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(target.parent)


@contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it replaces ``target`` when the block succeeds.

    After an error, and after a crash at any moment, ``target`` is what it was or is missing, never a mixture.
    One writer at a time: what an earlier one left behind is removed.
    """
    partial = target.with_name(f"{TEMPORARY}{target.name}-partial")
    previous = target.with_name(f"{TEMPORARY}{target.name}-previous")
    for leftover in (partial, previous):
        if leftover.exists():
            shutil.rmtree(leftover)
    try:
        partial.mkdir(parents=True)
        yield partial
        sync_folder(partial)
        if target.exists():
            target.rename(previous)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sync_folder(target.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _temporary_beside(path: Path) -> Path:
    """A fresh temporary name in the folder of ``path``."""
    return path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")


def sync_folder(folder: Path) -> None:
    """Make the names inside ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
