import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from benchmarks.train import turns
from benchmarks.train.points import Point
from benchmarks.train.turns import Contender, speed, take_turns
from waiting import UNREACHED_S, wait_until


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "START_TIMEOUT_S", UNREACHED_S)


def test_only_points_within_the_span_count() -> None:
    before, inside, across = Point(10.5, 1.0, 8), Point(11.5, 0.5, 8), Point(13.1, 0.5, 8)
    assert speed([[before, inside, across]], 10.0, 13.0) == 16.0
    assert speed([[inside], [inside, Point(12.5, 1.0, 8)]], 10.0, 13.0) == 16.0 + 16 / 1.5


def test_a_turn_without_points_is_a_fault() -> None:
    with pytest.raises(RuntimeError, match="make turns longer"):
        speed([[Point(11.5, 0.5, 8)], []], 10.0, 13.0)


def work(path: Path) -> None:
    """A point, and this process's id, every hundredth of a second."""
    with path.open("w") as file:
        while True:
            time.sleep(0.01)
            file.write(json.dumps([time.time(), os.getpid()]) + "\n")
            file.flush()


def points(path: Path) -> list[list[Point]]:
    return [[Point(at, 0.01, 1) for at, _ in read(path)]]


def read(path: Path) -> list[tuple[float, int]]:
    lines = path.read_text().splitlines()[:-1] if path.exists() else []
    return [(at, pid) for at, pid in map(json.loads, lines)]


class Clock:
    """Turns last until whoever has its turn has left a point within it, however slow the machine is."""

    TURN_S = 0.3

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        begun = time.time()
        if seconds == self.TURN_S:
            wait_until(lambda: any(at - 0.01 > begun for path in self._paths for at, _ in read(path)))
        else:
            time.sleep(seconds)


def is_gone(pid: int) -> bool:
    multiprocessing.active_children()  # buries those that have died
    return not psutil.pid_exists(pid)


@pytest.mark.slow
def test_all_but_one_stand_still_and_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {name: tmp_path / name for name in ("a", "b")}
    monkeypatch.setattr(turns, "time", Clock(paths.values()))
    made = {name: Contender([partial(work, path)], partial(points, path)) for name, path in paths.items()}
    try:
        for contender in made.values():
            contender.warm_up(2, 0.0)
        began, order = time.time(), list[tuple[int, str]]()
        found = take_turns(made, 2, Clock.TURN_S, lambda number, name, rate: order.append((number, name)))
        mine, other = ([at for at, _ in read(path) if at > began] for path in paths.values())
    finally:
        for contender in made.values():
            contender.end()
    assert order == [(1, "a"), (1, "b"), (2, "b"), (2, "a")]
    assert [[turn.images_per_s for turn in own] for own in found.values()] == [
        [pytest.approx(100), pytest.approx(100)]
    ] * 2
    # a ran first and last, b in between: their times do not mix.
    assert any(at < min(other) for at in mine)
    assert any(at > max(other) for at in mine)
    assert not any(min(other) < at < max(other) for at in mine)
    for path in paths.values():
        wait_until(partial(is_gone, read(path)[0][1]))


def spin(path: Path) -> None:
    """A busy core."""
    while True:
        for _ in range(100_000):
            pass
        with path.open("a") as file:
            file.write(json.dumps([time.time(), os.getpid()]) + "\n")


class Times(NamedTuple):
    """What the cores of a machine did, as psutil tells it."""

    user: float
    idle: float
    iowait: float


def cpu_s(pid: int) -> float:
    return sum(psutil.Process(pid).cpu_times()[:2])


def test_their_own_work_is_not_that_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "points"
    contender = Contender([partial(spin, path)], partial(points, path))
    try:
        contender.warm_up(1, 0.0)
        pid = read(path)[0][1]
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        machine = Times(user=100.0, idle=50.0, iowait=10.0)
        monkeypatch.setattr(psutil, "cpu_times", lambda: machine)
        others, own = contender._others(), cpu_s(pid)
        contender._send(signal.SIGCONT)
        wait_until(lambda: cpu_s(pid) > own + 0.1)
        contender._send(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        machine = Times(user=100.0 + cpu_s(pid) - own + 7.0, idle=70.0, iowait=15.0)
        assert contender._others() - others == pytest.approx(7.0)
    finally:
        contender.end()


def end() -> None:
    pass


def test_a_variant_that_ends_is_told() -> None:
    contender = Contender([end], lambda: [[]])
    with pytest.raises(RuntimeError, match="has ended"):
        contender.warm_up(1, 0.0)
    contender.end()
