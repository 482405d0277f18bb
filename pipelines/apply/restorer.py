"""Restore pictures with a network: one is computed while others are read and written."""

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
from pipelines.apply.outputs import OverwriteGuard
from pipelines.apply.plan import Task
from pipelines.core.errors import FULL, DataError, describe_error, is_expected
from pipelines.core.progress import Display
from pipelines.core.records import write_atomic
from zoo import Predictor, read_pages, read_picture
from zoo.pictures.picture import Pages
from zoo.tiling import OnTile


class Cancelled(Exception):
    """The consumer of the outcomes has left."""


@dataclass(frozen=True)
class WriteOptions:
    """How results are written.

    Attributes:
        jobs: pictures in memory at a time.
        quality: of formats that have one.
        overwrite: whether existing results are replaced.
        strip: whether metadata is removed.
    """

    jobs: int = 2
    quality: int | None = None
    overwrite: bool = False
    strip: bool = False


class Restorer:
    """Restores one picture at a time, and reads and writes others meanwhile.

    Args:
        model: has all cores, or the device, to itself.
        guard: protects inputs and results.
        options: how to write.
        display: shows the progress of every tile.
    """

    def __init__(
        self, model: Predictor, guard: OverwriteGuard, options: WriteOptions, display: Display
    ) -> None:
        self._model, self._guard, self._options, self._display = model, guard, options, display
        self._network, self._writing = threading.Lock(), threading.Lock()
        self._stop = threading.Event()

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Restore all tasks; yields their outcomes in order. A picture that fails does not stop the others.

        Raises:
            OSError: the disk is full.
        """
        self._meter = ProgressMeter(self._display, tasks)
        pool = ThreadPoolExecutor(self._options.jobs, thread_name_prefix="apply")
        try:
            yield from pool.map(self._run_task, tasks)
        finally:
            self._stop.set()  # a large picture stops after its current tile
            pool.shutdown(cancel_futures=True)

    def _run_task(self, task: Task) -> Outcome:
        if self._stop.is_set():
            raise Cancelled
        clock = _Clock()
        try:
            size, values = self._restore(task, clock)
            outcome = task.outcome(size=size, values=values)
        except Exception as error:
            if not (is_expected(error) or isinstance(error, OSError | MemoryError)) or _is_full(error):
                raise
            outcome = task.outcome(error=_explain_failure(error))
        self._meter.end_task(task)
        return replace(outcome, seconds=clock.seconds())

    def _restore(self, task: Task, clock: _Clock) -> tuple[tuple[int, int], dict[str, float]]:
        """Restore and write a picture; returns its size and the values of all sliders."""
        pages = _read_pages(task, self._model.max_pixels)
        count = len(pages.pictures)
        with clock.paused(self._network):
            results = [
                self._model.restore(page, task.values, on_tile=self._make_counter(task, number, count))
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

    def _make_counter(self, task: Task, page: int, pages: int) -> OnTile:
        """A callback for the tiles of a page, which also cancels the work."""

        def on_tile(done: int, total: int) -> None:
            if self._stop.is_set():
                raise Cancelled
            self._meter.update(task, page * total + done, pages * total)

        return on_tile

    def _write(self, target: Path | None, data: bytes) -> None:
        if target is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        self._guard.check(target)
        if target.exists() and not self._options.overwrite:
            raise DataError(f"{target} was created meanwhile; --overwrite replaces it")
        write_atomic(target, data)
        self._guard.add(target)


def _read_pages(task: Task, max_pixels: int) -> Pages:
    content = task.job.source.content
    if task.page is None:
        return read_pages(content, max_pixels=max_pixels)
    return Pages((read_picture(content, max_pixels=max_pixels, page=task.page),))


class ProgressMeter:
    """Progress in pictures, and speed in megapixels.

    Args:
        display: where it is shown.
        tasks: all of them.
    """

    def __init__(self, display: Display, tasks: Sequence[Task]) -> None:
        self._display, self._lock = display, threading.Lock()
        self._all_px, self._done_px, self._pictures = sum(task.pixels for task in tasks), 0, 0
        self._parts: dict[int, tuple[Task, float]] = {}
        self._started = time.monotonic()

    def update(self, task: Task, done: int, total: int) -> None:
        """Count a finished tile."""
        facts = {"tile": f"{done}/{total} of {task.job.source.relative.name}"} if total > 1 else {}
        with self._lock:
            self._parts[id(task)] = (task, done / total)
            self._show(facts)

    def end_task(self, task: Task) -> None:
        """Count a task that is done or has failed."""
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
    """Seconds since its creation, without those of waiting for a lock."""

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


def _explain_failure(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory for this picture ({error}); use a smaller --tile or --jobs 1"
    return describe_error(error) or str(error)
