import math
from dataclasses import fields
from pathlib import Path

import pytest

from pipelines.tracking.journal import Point, read
from pipelines.training.log import RunLog
from pipelines.training.metrics import Progress


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_a_line_is_a_point_whatever_numbers_it_holds(log: Path) -> None:
    log.write_text(
        '{"step": 3, "time_s": 1.5, "loss": NaN, "at": {"x": 2}, "note": "n", "ok": true}\n{"step": 4}\n'
    )
    (first, second), end = read(log)
    assert (first.step, first.time_ms, first.values["at.x"]) == (3, 1500, 2.0)
    assert math.isnan(first.values.pop("loss"))
    assert list(first.values) == ["at.x"]
    assert second == Point(4, {}, None)
    assert end == log.stat().st_size


def test_what_training_writes_is_read(tmp_path: Path) -> None:
    given = {"step": 3, "time_s": 1.5, "loss": 0.5, "shares": {"RMSE": 0.25}, "validation": {}}
    point = Progress(**dict.fromkeys((field.name for field in fields(Progress)), 1.0) | given)
    RunLog(tmp_path).append(point)
    ((step, values, time_ms),) = read(tmp_path / "log.jsonl")[0]
    assert (step, time_ms, values["loss"], values["shares.RMSE"]) == (3, 1500, 0.5, 0.25)
    assert "time_s" not in values


def test_reading_goes_on_where_it_ended_and_waits_for_the_end_of_a_line(log: Path) -> None:
    assert read(log) == ([], 0)
    log.write_text('\n{"step": 1}\n\n{"step": 2}\n\n{"st')
    points, end = read(log)
    assert [point.step for point in points] == [1, 2]
    assert read(log, end) == ([], end)
    with log.open("a") as file:
        file.write('ep": 3}\n')
    assert [point.step for point in read(log, end)[0]] == [3]


def test_so_many_points_or_up_to_a_byte(log: Path) -> None:
    log.write_text("".join(f'\n{{"step": {step}}}\n' for step in range(9)))
    points, middle = read(log, lines=4)
    assert [point.step for point in points] == [0, 1, 2, 3]
    assert read(log, end=middle) == (points, middle)
    assert [point.step for point in read(log, middle)[0]] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("line", ['{"step": 1, "los', "[1]", '{"step": "1"}', '{"loss": 1}', "1", "\xff"])
def test_what_is_no_point_is_skipped(log: Path, line: str) -> None:
    log.write_text(
        f'{line}\n{{"step": 2, "time_s": "noon"}}\n{{"step": 3, "time_s": NaN}}\n', encoding="latin-1"
    )
    assert read(log)[0] == [Point(2, {}, None), Point(3, {}, None)]
