import math
import signal
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.points import drawn, grid, size
from pipelines.search.space import SpaceConfig

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
    assert grid(list(space.axes())) == [
        {"distribution": name, **more, "group": group}
        for name, more in [
            ("uniform", {}),
            ("dirichlet", {"dirichlet.alpha": 0.5}),
            ("dirichlet", {"dirichlet.alpha": 2.0}),
        ]
        for group in ("sample", "batch")
    ]


def test_a_range_has_no_grid() -> None:
    with pytest.raises(ConfigError, match="axis lr is a range"):
        grid(list(SPACE.axes()))


def test_draws_are_the_same_however_many_are_taken_and_another_seed_gives_others() -> None:
    axes = list(SPACE.axes())
    assert list(islice(drawn(axes, 3), 5)) == list(islice(drawn(axes, 3), 9))[:5]
    assert list(islice(drawn(axes, 4), 5)) != list(islice(drawn(axes, 3), 5))


def test_draws_follow_their_ranges() -> None:
    points = list(islice(drawn(list(SPACE.axes()), 0), 3000))
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
    """Fails what would go on for ever."""

    def end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("ten_seconds")
@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"distributions": DISTRIBUTIONS, "lr": [0.1, 0.2]}, 6),
        ({"distributions": [{"family": "uniform"}, SCHEDULE]}, 6),
        ({"batch_size": {"low": 1, "high": 16, "log": True}, "patch_px": [8, 16]}, 32),
    ],
)
def test_a_space_of_lists_and_whole_numbers_ends(values: dict[str, Any], count: int) -> None:
    axes = list(parse_section(values, "space", SpaceConfig).axes())
    assert size(axes) == count
    points = list(drawn(axes, 1))
    assert len(points) == len({frozenset(point.items()) for point in points}) == count
    if all(axis.domain.values for axis in axes):
        assert all(point in grid(axes) for point in points)


def test_a_space_with_real_numbers_does_not_end() -> None:
    assert size(list(SPACE.axes())) == math.inf
