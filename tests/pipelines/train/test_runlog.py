from pathlib import Path

import pytest

from pipelines.train.meter import Progress
from pipelines.train.runlog import Follower, RunLog


def point(step: int, loss: float = 1.0) -> Progress:
    return Progress(
        step=step,
        epoch=0.5,
        loss=loss,
        shares={"RMSE": loss},
        lr=0.1,
        grad_norm=1.0,
        images_per_s=10.0,
        workers=1,
        memory_gb=0.5,
        time_s=1e9,
        validation={},
    )


def test_points_come_back_in_order_and_later_ones_count(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step, loss in ((2, 1.0), (4, 1.0), (6, 1.0), (4, 2.0)):
        log.append(point(step, loss))
    assert log.curve(until=4) == [point(2), point(4, 2.0)]


def test_a_half_written_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.append(point(2))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "los')
    log.append(point(4))
    assert log.curve(until=9) == [point(2), point(4)]


def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    assert log.read() == ([], 0)
    log.append(point(2))
    points, end = log.read()
    log.append(point(4))
    assert points == [point(2)]
    assert log.read(end)[0] == [point(4)]


def test_a_follower_sees_new_points_only_and_all_of_them(tmp_path: Path) -> None:
    log, seen = RunLog(tmp_path), list[Progress]()
    log.append(point(2))
    with Follower(log, seen.extend, every_s=0.01):
        log.append(point(4))
        log.append(point(6))
    assert seen == [point(4), point(6)]


def test_a_fault_of_the_follower_is_not_lost(tmp_path: Path) -> None:
    def fail(points: list[Progress]) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"), Follower(RunLog(tmp_path), fail, every_s=0.01):
        pass
