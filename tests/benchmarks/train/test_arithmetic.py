from pathlib import Path

import pytest

from benchmarks.train.arithmetic import arithmetic
from benchmarks.train.points import Point, read_points, write_points
from waiting import UNREACHED_S


@pytest.mark.slow
def test_two_processes_measure_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.train.turns.START_TIMEOUT_S", UNREACHED_S)
    contender = arithmetic(tmp_path / "own", 2)
    try:
        contender.warm_up(2, 0.0)
    finally:
        contender.end()
    first, second = (read_points(tmp_path / "own" / f"{rank}.jsonl") for rank in range(2))
    assert first[0] != second[0]
    assert all(point.images == 20 and point.seconds > 0 for point in first + second)


def test_a_line_half_written_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "points"
    assert read_points(path) == []
    point = Point(time_s=10.0, seconds=0.5, images=8)
    write_points([point, point], path)
    path.write_text(path.read_text()[:-10])
    assert read_points(path) == [point]
