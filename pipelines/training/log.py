"""The run's log on disk: one JSON line a point, appended by worker 0, read by whoever watches.

The log, not the tracking server, is the record of a run: it is there when no server answers. A run
that resumes writes some steps again; the last line of a step counts.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pipelines.core.disk import explain_full_disk
from pipelines.core.errors import TrainingError
from pipelines.training.metrics import Progress


class RunLog:
    """Points of one run in ``<folder>/log.jsonl``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"

    def append(self, progress: Progress) -> None:
        """Add a point; it is on the disk when this returns, as the checkpoint is that may follow.

        Raises:
            TrainingError: the disk is full; the points before this one are as they were.
        """
        append_line(self._path, asdict(progress))

    def size(self) -> int:
        """Bytes so far: where new points will begin."""
        return self._path.stat().st_size if self._path.exists() else 0

    def read(self, start: int = 0) -> tuple[list[Progress], int]:
        """Whole points from byte ``start`` on, and the byte after them."""
        if not self._path.exists():
            return [], start
        with self._path.open("rb") as file:
            file.seek(start)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return [p for line in whole.splitlines() if (p := _parse(line))], start + len(whole)

    def curve(self, until: int) -> list[Progress]:
        """Points up to step ``until``, each step once, in order."""
        points = {point.step: point for point in self.read()[0] if point.step <= until}
        return [points[step] for step in sorted(points)]

    def seconds(self, batch_size: int, until: int) -> float:
        """Time in the loop up to step ``until``, over all interruptions, from the speeds of the points."""
        curve = self.curve(until)
        before = [0, *(point.step for point in curve)]
        steps = [point.step - start for point, start in zip(curve, before, strict=False)]
        return sum(n * batch_size / p.images_per_s for n, p in zip(steps, curve, strict=True))


class Follower:
    """Reads new points of a log in a thread, while something else does the work.

    Args:
        log: to follow, from its present end.
        each: called with the new points of every look, also once after the work has ended.
        every_s: seconds between looks.
    """

    def __init__(self, log: RunLog, each: Callable[[list[Progress]], None], every_s: float = 1.0) -> None:
        self._log, self._each, self._every_s = log, each, every_s
        self._position = log.size()
        self._ended = Event()
        self._fault: Exception | None = None
        self._thread = Thread(target=self._follow, name="run-log", daemon=True)

    def __enter__(self) -> "Follower":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._fault:
            raise self._fault

    def _follow(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(self._every_s)  # asked before reading, so that nothing is missed
            points, self._position = self._log.read(self._position)
            try:
                self._each(points)
            except Exception as error:  # kept for the thread that can do something about it
                self._fault = error
                return


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Add JSON to a log as one line, durably.

    Raises:
        TrainingError: the disk is full; the lines before this one are as they were.
    """
    # A leading newline ends what a killed writer may have left half written.
    data = ("\n" + json.dumps(values) + "\n").encode()
    room = f"room for a line of {path.name}"
    with explain_full_disk(path.parent, "free some and run again", room=room, kind=TrainingError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            _append_whole(descriptor, data)
        finally:
            os.close(descriptor)


def _append_whole(descriptor: int, data: bytes) -> None:
    before = os.fstat(descriptor).st_size
    try:
        rest = data
        while rest:  # a disk that is nearly full takes a part, and says so the next time
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):  # readers pass over a half line
            os.ftruncate(descriptor, before)
        raise


def _parse(line: bytes) -> Progress | None:
    try:
        values: dict[str, Any] = json.loads(line)
        return Progress(**values)
    except (ValueError, TypeError):
        return None
