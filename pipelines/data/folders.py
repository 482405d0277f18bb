"""Folders that appear whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.durable import sync_folder


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target`` to write into; it takes its place when the block ends well.

    After an error, and after a crash at any moment, ``target`` is what it was or is missing, never
    a mixture. One writer at a time.
    """
    partial = target.with_name(f".{target.name}.partial")
    previous = target.with_name(f".{target.name}.previous")
    for leftover in (partial, previous):
        if leftover.exists():
            shutil.rmtree(leftover)
    partial.mkdir(parents=True)
    try:
        yield partial
        sync_folder(partial)
    except BaseException:
        shutil.rmtree(partial)
        raise
    if target.exists():
        target.rename(previous)
    partial.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(previous, ignore_errors=True)
