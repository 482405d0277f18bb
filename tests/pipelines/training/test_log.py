import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.core.errors import TrainingError
from pipelines.training.log import LogFollower, Progress, RunLog


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


def takes(room: int) -> Callable[[int, bytes], int]:
    """What writes on a disk that has room for so many bytes."""
    real, left = os.write, [room]

    def write(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, data[: left[0]])
        left[0] -= written
        return written

    return write


def full(descriptor: int) -> None:
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


@pytest.mark.parametrize(("call", "put"), [("write", takes(0)), ("write", takes(50)), ("fsync", full)])
def test_a_full_disk_is_told_and_no_half_line_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, put: Callable[..., int]
) -> None:
    log = RunLog(tmp_path)
    log.append(point(2))
    before = (tmp_path / "log.jsonl").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, put)
        with pytest.raises(TrainingError, match=rf"log.jsonl in {tmp_path}"):
            log.append(point(4))
    assert (tmp_path / "log.jsonl").read_bytes() == before
    log.append(point(4))
    assert log.curve(until=9) == [point(2), point(4)]


def test_a_line_that_is_taken_piece_by_piece_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    log = RunLog(tmp_path)
    log.append(point(2))
    assert log.read()[0] == [point(2)]


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
    with LogFollower(log, seen.extend, every_s=0.01):
        log.append(point(4))
        log.append(point(6))
    assert seen == [point(4), point(6)]


def test_a_fault_of_the_follower_is_not_lost(tmp_path: Path) -> None:
    def fail(points: list[Progress]) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"), LogFollower(RunLog(tmp_path), fail, every_s=0.01):
        pass
