"""Pictures through a network: one is computed while others are read and written, and all are told about."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import Guard
from pipelines.apply.plan import Task
from pipelines.core.errors import FULL, DataError, describe_error, is_expected
from pipelines.core.progress import Display
from pipelines.core.records import write_atomic
from zoo import Predictor, read_pages, read_picture
from zoo.pictures.picture import Pages
from zoo.tiling import OnTile


class Stopped(Exception):
    """The work was ended from outside."""


@dataclass(frozen=True)
class Options:
    """How results are written.

    Attributes:
        jobs: pictures in memory at a time.
        quality: of formats that have one.
        overwrite: whether results that exist are made again.
        strip: whether metadata is left out.
    """

    jobs: int = 2
    quality: int | None = None
    overwrite: bool = False
    strip: bool = False


class Work:
    """Restores tasks, one by one through the network, with others read and written meanwhile.

    Args:
        model: the network; it has all cores or the device for itself.
        guard: knows what must not be written over.
        options: how to write.
        display: told of every tile.
    """

    def __init__(self, model: Predictor, guard: Guard, options: Options, display: Display) -> None:
        self._model, self._guard, self._options, self._display = model, guard, options, display
        self._network, self._writing = threading.Lock(), threading.Lock()
        self._stop = threading.Event()

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """How each ended, in order; what is broken does not keep the rest from being done.

        Raises:
            OSError: the disk is full.
        """
        self._meter = Meter(self._display, tasks)
        pool = ThreadPoolExecutor(self._options.jobs, thread_name_prefix="apply")
        try:
            yield from pool.map(self._outcome, tasks)
        finally:
            self._stop.set()  # a large picture ends with the tile it is at
            pool.shutdown(cancel_futures=True)

    def _outcome(self, task: Task) -> Outcome:
        if self._stop.is_set():
            raise Stopped
        clock = _Clock()
        try:
            size, values = self._restore(task, clock)
            ended = task.outcome(size=size, values=values)
        except Exception as error:
            if not (is_expected(error) or isinstance(error, OSError | MemoryError)) or _is_full(error):
                raise
            ended = task.outcome(error=_reason(error))
        self._meter.ends(task)
        return replace(ended, seconds=clock.seconds())

    def _restore(self, task: Task, clock: _Clock) -> tuple[tuple[int, int], dict[str, float]]:
        """Size and settings of the result, which is written."""
        pages = _read(task, self._model.max_pixels)
        count = len(pages.pictures)
        with clock.paused(self._network):
            results = [
                self._model.restore(page, task.values, on_tile=self._counter(task, number, count))
                for number, page in enumerate(pages.pictures)
            ]
        if self._options.strip:
            results = [replace(result, metadata=result.metadata.stripped()) for result in results]
        form = task.job.form
        quality = None if form.lossy is None else self._options.quality
        data = form.encode_pages(replace(pages, pictures=tuple(results)), quality=quality)
        with self._writing:
            self._write(task.job.target, data)
        space = self._model.space
        return results[0].size, space.values(space.omega(task.values))

    def _counter(self, task: Task, page: int, pages: int) -> OnTile:
        """What is told of the tiles of a page."""

        def on_tile(done: int, total: int) -> None:
            if self._stop.is_set():
                raise Stopped
            self._meter.tile(task, page * total + done, pages * total)

        return on_tile

    def _write(self, target: Path | None, data: bytes) -> None:
        if target is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        self._guard.check(target)
        if target.exists() and not self._options.overwrite:
            raise DataError(f"{target} came into being meanwhile; --overwrite replaces it")
        write_atomic(target, data)
        self._guard.add(target)


def _read(task: Task, max_pixels: int) -> Pages:
    content = task.job.source.content
    if task.page is None:
        return read_pages(content, max_pixels=max_pixels)
    return Pages((read_picture(content, max_pixels=max_pixels, page=task.page),))


class Meter:
    """How far the work is, in pictures and megapixels.

    Args:
        display: of pictures, rated in megapixels.
        tasks: all that there is to do.
    """

    def __init__(self, display: Display, tasks: Sequence[Task]) -> None:
        self._display, self._lock = display, threading.Lock()
        self._all_px, self._done_px, self._pictures = sum(task.pixels for task in tasks), 0, 0
        self._parts: dict[int, tuple[Task, float]] = {}
        self._started = time.monotonic()

    def tile(self, task: Task, done: int, total: int) -> None:
        """A tile of that task is done."""
        facts = {"tile": f"{done}/{total} of {task.job.source.relative.name}"} if total > 1 else {}
        with self._lock:
            self._parts[id(task)] = (task, done / total)
            self._show(facts)

    def ends(self, task: Task) -> None:
        """A task is done, or has failed."""
        with self._lock:
            self._parts.pop(id(task), None)
            self._done_px += task.pixels
            self._pictures += 1
            self._show({})

    def _show(self, facts: Mapping[str, str]) -> None:
        done_px = self._done_px + sum(task.pixels * part for task, part in self._parts.values())
        rate_px = done_px / max(time.monotonic() - self._started, 1e-6)
        self._display.update(
            self._pictures + sum(part for _, part in self._parts.values()),
            rate=rate_px / 1e6,
            left_s=(self._all_px - done_px) / rate_px if rate_px else None,
            facts=facts,
        )


class _Clock:
    """Seconds since it was made, those of waiting for a lock excepted."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @contextmanager
    def paused(self, lock: threading.Lock) -> Iterator[None]:
        before = time.monotonic()
        with lock:
            self._started += time.monotonic() - before
            yield

    def seconds(self) -> float:
        return time.monotonic() - self._started


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in FULL


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"no memory for this picture ({error}); say a smaller --tile, or --jobs 1"
    return describe_error(error) or str(error)
