import json
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks.train.points import Point
from benchmarks.train.turns import Contender, speed, take_turns


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


def test_all_but_one_stand_still_and_none_is_left(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("a", "b")}
    made = {name: Contender([partial(work, path)], partial(points, path)) for name, path in paths.items()}
    try:
        for contender in made.values():
            contender.warm_up(2, 0.0)
        began, order = time.time(), []
        found = take_turns(made, 2, 0.3, lambda number, name, rate: order.append((number, name)))
        mine, other = ([at for at, _ in read(path) if at > began] for path in paths.values())
    finally:
        for contender in made.values():
            contender.end()
    assert order == [(1, "a"), (1, "b"), (2, "b"), (2, "a")]
    assert [[turn.images_per_s for turn in turns] for turns in found.values()] == [
        [pytest.approx(100), pytest.approx(100)]
    ] * 2
    # a ran first and last, b in between: their times do not mix.
    assert any(at < min(other) for at in mine)
    assert any(at > max(other) for at in mine)
    assert not any(min(other) < at < max(other) for at in mine)
    for path in paths.values():
        with pytest.raises(ProcessLookupError):
            os.kill(read(path)[0][1], 0)


def spin(path: Path) -> None:
    """A busy core."""
    while True:
        for _ in range(100_000):
            pass
        with path.open("a") as file:
            file.write(json.dumps([time.time(), os.getpid()]) + "\n")


def test_their_own_work_is_not_that_of_others(tmp_path: Path) -> None:
    one, two = (
        Contender([partial(spin, path)], partial(points, path))
        for path in (tmp_path / "one", tmp_path / "two")
    )
    try:
        one.warm_up(1, 0.0)
        two.warm_up(1, 0.0)
        before = two._others() - one._others()
        one._send(signal.SIGCONT)
        time.sleep(0.6)
        one._send(signal.SIGSTOP)
        # What the machine did is the same for both; the difference is what one did.
        assert 0.1 < two._others() - one._others() - before < 0.9
    finally:
        one.end()
        two.end()


def end() -> None:
    pass


def test_a_variant_that_ends_is_told() -> None:
    contender = Contender([end], lambda: [[]])
    with pytest.raises(RuntimeError, match="has ended"):
        contender.warm_up(1, 0.0)
    contender.end()
