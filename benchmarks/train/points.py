"""What a process that measures itself has done, and where it leaves that."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """What one process did in the ``seconds`` before ``time_s``, which is since 1970."""

    time_s: float
    seconds: float
    images: float


def write_points(points: Iterable[Point], path: Path) -> None:
    """Leave each in a file as soon as it is there."""
    with path.open("w") as file:
        for point in points:
            file.write(json.dumps(asdict(point)) + "\n")
            file.flush()


def read_points(path: Path) -> list[Point]:
    """Those of a process so far; none if it has not begun."""
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [Point(**json.loads(line)) for line in whole.splitlines()]
