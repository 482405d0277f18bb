"""The run log ``log.jsonl``: one JSON object a line, appended by worker 0, read by everything that watches.

The log, not the tracking server, is the record of a run: it is there when no server answers. A resumed run
writes some steps again; the last line of a step counts. This is the only module that reads or writes it.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pipelines.core.errors import TrainingError, explain_full_disk

LOG = "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One point of the run log.

    Attributes:
        step: optimizer steps done.
        epoch: as many draws as there are photographs are one.
        loss: mean over the steps since the last point, over all workers.
        shares: what each objective added to it, by name.
        lr: learning rate of the next step.
        grad_norm: of the last step, before clipping.
        images_per_s: patches through all workers, over the steps since the last point.
        workers: how many there are.
        memory_gb: largest use of GPU memory so far, on a CPU resident memory now; of worker 0, in 10^9 bytes.
        time_s: when, in seconds since 1970.
        validation: metrics on held-out photographs, see :mod:`pipelines.training.validation`; often empty.
    """

    step: int
    epoch: float
    loss: float
    shares: Mapping[str, float]
    lr: float
    grad_norm: float
    images_per_s: float
    workers: int
    memory_gb: float
    time_s: float
    validation: Mapping[str, Any]


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Append one line, durably.

    Raises:
        TrainingError: the disk is full; the lines before this one are unchanged.
    """
    # A leading newline ends what a killed writer may have left half written.
    data = ("\n" + json.dumps(values) + "\n").encode()
    room = f"room for a line of {path.name}"
    with explain_full_disk(path.parent, "free some and run again", room=room, kind=TrainingError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    before = os.fstat(descriptor).st_size
    try:
        rest = data
        while rest:  # a nearly full disk takes a part, and fails the next time
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):  # readers skip a half line
            os.ftruncate(descriptor, before)
        raise


def read_lines(
    path: Path, start: int = 0, end: int | None = None, limit: int | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Lines between two bytes, and the byte after the last complete line that was read.

    A half-written line is skipped when another follows; as the last line it is left for the next call.

    Args:
        path: of the log; a missing file is empty.
        start: 0, or the byte that an earlier call returned.
        end: where to stop; by default the end of the file.
        limit: of the number of lines.
    """
    lines: list[dict[str, Any]] = []
    if not path.exists():
        return lines, start
    with path.open("rb") as file:
        file.seek(start)
        while (limit is None or len(lines) < limit) and (end is None or start < end):
            text = file.readline()
            if not text.endswith(b"\n"):
                break
            start += len(text)
            if values := _parse_line(text):
                lines.append(values)
    return lines, start


def _parse_line(text: bytes) -> dict[str, Any] | None:
    try:
        values: Any = json.loads(text)
    except ValueError:
        return None
    is_line = isinstance(values, dict) and isinstance(values.get("step"), int)
    return values if is_line else None


def append_missing_lines(path: Path, data: bytes) -> None:
    """Append the lines of another machine's copy of a log that this one lacks, durably.

    What is there stays where it is, as uploads to the tracking server count its bytes.
    """
    known = set(path.read_bytes().splitlines()) if path.exists() else set()
    for line in data.splitlines():
        if line not in known and (values := _parse_line(line)):
            append_line(path, values)


class RunLog:
    """The log of one run, ``<folder>/log.jsonl``, as points."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG

    def append(self, progress: Progress) -> None:
        """Append a point; it is on disk on return, before the checkpoint that may follow.

        Raises:
            TrainingError: the disk is full; the points before this one are unchanged.
        """
        append_line(self.path, asdict(progress))

    def size(self) -> int:
        """Bytes so far: where new points will begin."""
        return self.path.stat().st_size if self.path.exists() else 0

    def read(self, start: int = 0) -> tuple[list[Progress], int]:
        """Points from byte ``start`` on, and the byte after them; skips other lines, such as scores."""
        lines, end = read_lines(self.path, start)
        points = []
        for line in lines:
            with suppress(TypeError):
                points.append(Progress(**line))
        return points, end

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


class LogFollower:
    """Reads new points of a log in a thread while the run writes them.

    Args:
        log: to follow, from its present end.
        consume: called with the new points of every poll, also once after the work has ended.
        every_s: seconds between polls.
    """

    def __init__(self, log: RunLog, consume: Callable[[list[Progress]], None], every_s: float = 1.0) -> None:
        self._log, self._consume, self._every_s = log, consume, every_s
        self._position = log.size()
        self._ended = Event()
        self._error: Exception | None = None
        self._thread = Thread(target=self._follow, name="run-log", daemon=True)

    def __enter__(self) -> "LogFollower":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _follow(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(self._every_s)  # checked before reading, so that no point is missed
            points, self._position = self._log.read(self._position)
            try:
                self._consume(points)
            except Exception as error:  # raised in the thread that can handle it
                self._error = error
                return
