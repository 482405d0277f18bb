import math
import signal
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np
import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.axes import Point
from pipelines.search.candidates import (
    count_points,
    draw_points,
    make_grid,
    require_trainable,
    skip_untrainable,
)
from pipelines.search.space import SpaceConfig
from pipelines.training.config import TrainConfig

DISTRIBUTIONS = [{"family": "uniform"}, {"family": "dirichlet", "alpha": [0.5, 2.0]}]
SCHEDULE = {"family": "schedule", "points": {"low": 3, "high": 7}}
SPACE = parse_section(
    {
        "distributions": DISTRIBUTIONS,
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "batch_size": {"low": 1, "high": 64, "log": True},
        "patch_px": {"low": 8, "high": 10},
    },
    "space",
    SpaceConfig,
)


def test_a_grid_holds_a_point_once() -> None:
    space = parse_section(
        {"distributions": DISTRIBUTIONS, "group": ["sample", "batch"]}, "space", SpaceConfig
    )
    assert make_grid(list(space.axes())) == [
        {"distribution": name, **more, "group": group}
        for name, more in [
            ("uniform", {}),
            ("dirichlet", {"dirichlet.alpha": 0.5}),
            ("dirichlet", {"dirichlet.alpha": 2.0}),
        ]
        for group in ("sample", "batch")
    ]


def test_a_range_has_no_grid() -> None:
    with pytest.raises(ConfigError, match="lr"):
        make_grid(list(SPACE.axes()))


def test_draws_are_the_same_however_many_are_taken_and_another_seed_gives_others() -> None:
    axes = list(SPACE.axes())
    assert list(islice(draw_points(axes, 3), 5)) == list(islice(draw_points(axes, 3), 9))[:5]
    assert list(islice(draw_points(axes, 4), 5)) != list(islice(draw_points(axes, 3), 5))


def test_draws_follow_their_ranges() -> None:
    points = list(islice(draw_points(list(SPACE.axes()), 0), 3000))
    lr = np.array([float(point["lr"] or 0) for point in points])
    assert lr.min() >= 1e-4
    assert lr.max() <= 1e-2
    assert abs(np.mean(lr < 1e-3) - 0.5) < 0.03  # half below the geometric middle
    batches = [point["batch_size"] for point in points]
    assert set(batches) >= {1, 2, 64}
    assert min(batches) == 1 and max(batches) == 64  # type: ignore[type-var]  # noqa: PT018
    patches = [point["patch_px"] for point in points]
    assert all(0.3 < patches.count(px) / 3000 < 0.37 for px in (8, 9, 10))
    with_alpha = ["dirichlet.alpha" in point for point in points]
    assert with_alpha == [point["distribution"] == "dirichlet" for point in points]
    assert 0.46 < np.mean(with_alpha) < 0.54


@pytest.fixture
def ten_seconds() -> Iterator[None]:
    """Fails what would never end."""

    def end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("ten_seconds")
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"distributions": DISTRIBUTIONS, "lr": [0.1, 0.2]}, 6),
        ({"distributions": [{"family": "uniform"}, SCHEDULE]}, 6),
        ({"batch_size": {"low": 1, "high": 16, "log": True}, "patch_px": [8, 16]}, 32),
    ],
)
def test_a_space_of_lists_and_whole_numbers_ends(values: dict[str, Any], expected: int) -> None:
    axes = list(parse_section(values, "space", SpaceConfig).axes())
    assert count_points(axes) == expected
    points = list(draw_points(axes, 1))
    assert len(points) == len({frozenset(point.items()) for point in points}) == expected
    if all(axis.domain.values for axis in axes):
        assert all(point in make_grid(axes) for point in points)


def test_a_space_with_real_numbers_does_not_end() -> None:
    assert count_points(list(SPACE.axes())) == math.inf


def make_config(point: Point) -> TrainConfig:
    """Of which nothing but the steps tells one from another."""
    if point["steps"] == 0:
        raise ConfigError("nothing to train")
    values = {"steps": point["steps"], "compute": {"runner": "local"}}
    return parse_section(values, "train", TrainConfig)


def points(*steps: int) -> Iterator[Point]:
    return ({"number": number, "steps": steps_of} for number, steps_of in enumerate(steps))


def taken(found: Iterator[Point]) -> list[object]:
    return [point["number"] for point in found]


def test_what_was_requested_is_trained_or_refused() -> None:
    assert taken(require_trainable(points(1, 2, 3), make_config)) == [0, 1, 2]
    with pytest.raises(ConfigError, match="nothing to train"):
        list(require_trainable(points(1, 0), make_config))
    with pytest.raises(ConfigError, match=r"number 0, steps 1 .*number 2, steps 1 "):
        list(require_trainable(points(1, 2, 1), make_config))


def test_what_was_drawn_is_skipped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert taken(skip_untrainable(points(1, 0, 1, 2), make_config)) == [0, 3]
    first, second = caplog.messages
    assert "nothing to train" in first
    assert "number 0, steps 1" in second
    assert "number 2, steps 1" in second


def test_the_same_ones_are_trained_however_many_are_taken() -> None:
    def endless() -> Iterator[Point]:
        return ({"number": number, "steps": number % 3 * number} for number in count())

    def first(amount: int) -> list[Point]:
        return list(islice(skip_untrainable(endless(), make_config), amount))

    assert first(9)[:4] == first(4)


def test_fifty_in_a_row_are_the_end_and_fewer_are_not() -> None:
    assert taken(skip_untrainable(points(*[0] * 49, 1, *[0] * 49), make_config)) == [49]
    with pytest.raises(ConfigError, match=r"50 .*nothing to train"):
        list(skip_untrainable(points(1, *[0] * 50), make_config))


def test_equal_runs_are_no_reason_to_give_up() -> None:
    assert taken(skip_untrainable(points(*[1] * 60, 2), make_config)) == [0, 60]


def test_a_space_in_which_nothing_can_be_trained_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 points"):
        list(skip_untrainable(points(0, 0, 0), make_config))
