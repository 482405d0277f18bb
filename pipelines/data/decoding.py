"""Decode photographs in several processes: in order, the same for any number of them, with bounded memory."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.core.errors import DataError
from pipelines.data.sources import PhotoFile, decode_photo
from pipelines.data.split import perceptual_hash
from zoo.errors import ImageError

FILES_A_PROCESS = 16
"""Fewer files do not make up for the start of a process, which takes seconds."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """What is known of a file once it was decoded.

    Attributes:
        rgb: (H, W, 3) uint8; None if the file is unreadable.
        digest: SHA-256 of shape and pixels, the same for exact duplicates.
        phash: perceptual hash.
        fault: why it is unreadable; empty if it is not.
    """

    rgb: npt.NDArray[np.uint8] | None
    digest: str = ""
    phash: int = 0
    fault: str = ""


def decode_files(
    files: Sequence[PhotoFile], max_side_px: int | None, processes: int | None = None
) -> Generator[Decoded, None, None]:
    """Download and decode photographs, in the order of the files.

    At most two photographs a process are in memory, and what decoding takes.

    Args:
        files: to decode.
        max_side_px: as for :func:`pipelines.data.sources.decode_photo`.
        processes: that decode at a time, 1 for this one alone; None for one a core, fewer for few files.

    Raises:
        DataError: a file cannot be downloaded, or a process died.
    """
    count = processes or min(len(os.sched_getaffinity(0)), len(files) // FILES_A_PROCESS)
    if count <= 1:
        yield from (decode_file(file, max_side_px) for file in files)
        return
    # Forks of a server that did nothing but import: libvips hangs in the fork of a process that used it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(count, context, _begin_worker)
    waiting = deque[tuple[PhotoFile, Future[Decoded]]]()
    try:
        for file in files:
            waiting.append((file, pool.submit(decode_file, file, max_side_px)))
            if len(waiting) == 2 * count:
                yield waiting[0][1].result()
                waiting.popleft()
        while waiting:
            yield waiting[0][1].result()
            waiting.popleft()
    except BrokenProcessPool as error:
        names = ", ".join(repr(file.name) for file, _ in waiting)
        raise DataError(
            f"expected {count} processes to decode photographs, got one that died at one of {names}; set "
            "prepare.processes to 1 if memory is short, or look at these files"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def decode_file(file: PhotoFile, max_side_px: int | None) -> Decoded:
    """Download and decode one photograph.

    Raises:
        DataError: it cannot be downloaded.
    """
    try:
        rgb = decode_photo(file.fetch(), max_side_px)
    except ImageError as error:
        return Decoded(None, fault=str(error))
    digest = hashlib.sha256(repr(rgb.shape).encode())
    digest.update(np.ascontiguousarray(rgb).data)
    return Decoded(rgb, digest.hexdigest(), perceptual_hash(rgb))


def _begin_worker() -> None:
    # Ctrl-C reaches the whole group: the main process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the pool's own queues are held open by its other processes
