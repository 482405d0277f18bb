"""Reading a run's ``log.jsonl``: whole points from a byte on, whatever numbers they hold."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.tracking.server import numbers


class Point(NamedTuple):
    """What one line of the log says."""

    step: int
    values: dict[str, float]
    """By dotted name."""
    time_ms: int | None
    """When it was written; None if the line does not say."""


def read(
    path: Path, start: int = 0, end: int | None = None, lines: int | None = None
) -> tuple[list[Point], int]:
    """Points between two bytes, and the byte after the last whole line that was read.

    A line that a killed writer left half written is skipped when another follows, and waited for when
    it is the last.

    Args:
        path: of the log; one that is not there is empty.
        start: where to begin: 0, or what an earlier call returned.
        end: where to stop; by default the end of the file.
        lines: at most so many.
    """
    points: list[Point] = []
    if not path.exists():
        return points, start
    with path.open("rb") as file:
        file.seek(start)
        while (lines is None or lines > 0) and (end is None or start < end):
            line = file.readline()
            if not line.endswith(b"\n"):
                break
            start += len(line)
            if point := _parse(line):
                points.append(point)
                lines = None if lines is None else lines - 1
    return points, start


def _parse(line: bytes) -> Point | None:
    try:
        point: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(point, dict) or not isinstance(point.get("step"), int):
        return None
    step, time_s = point.pop("step"), numbers({"s": point.pop("time_s", None)}).get("s", math.nan)
    return Point(step, numbers(point), round(time_s * 1000) if math.isfinite(time_s) else None)
