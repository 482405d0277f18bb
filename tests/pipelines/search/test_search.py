"""Which points a search trains."""

from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.search.config import SearchConfig
from pipelines.search.search import Search
from pipelines.search.trial_record import Point
from pipelines.training.config import TrainConfig
from tiny_search import SEARCH, TRAIN

SCHEDULE = {"family": "schedule", "points": {"low": 3, "high": 7}}
BATCHES = {"batch_size": {"low": 2, "high": 9}}
"""Of which a group of 2 leaves four."""


def search(layout: Layout, train: dict[str, Any] | None = None, **options: Any) -> Search:
    config = parse_section(SEARCH | options, "search", SearchConfig)
    return Search(
        config=config, base=parse_section(TRAIN | (train or {}), "train", TrainConfig), layout=layout
    )


def points(asked: Search) -> tuple[list[Point], list[str]]:
    """All of them, and what is said of others."""
    said: list[str] = []
    return list(asked.points(said.append)), said


def test_a_random_search_of_few_points_ends(layout: Layout) -> None:
    space = {"distributions": [{"family": "uniform"}, SCHEDULE]}
    for budget in ({"trials": 24}, {"minutes": 5}):
        asked = search(layout, space=space, algorithm="random", seeds=[0, 1], **budget)
        assert len(points(asked)[0]) == 6
        assert asked.count == 12


def test_drawn_points_that_cannot_be_trained_are_passed_over(layout: Layout) -> None:
    asked = search(layout, space=BATCHES, algorithm="random", trials=24)
    found, said = points(asked)
    assert sorted(str(point["batch_size"]) for point in found) == ["2", "4", "6", "8"]
    assert asked.count == 4
    assert len(said) == 4
    assert all("passed over: search.space: the point batch_size" in sentence for sentence in said)
    assert len(points(search(layout, space=BATCHES, algorithm="random", trials=3))[0]) == 3


def test_a_search_that_goes_on_gets_the_same_points(layout: Layout) -> None:
    space = {**BATCHES, "lr": {"low": 0.001, "high": 0.01}, "group": [2, "batch"]}
    few = points(search(layout, space=space, algorithm="random", trials=5))[0]
    many = points(search(layout, space=space, algorithm="random", trials=12))[0]
    timed = search(layout, space=space, algorithm="random", minutes=1).points(lambda sentence: None)
    assert [next(timed) for _ in range(12)] == many
    assert many[:5] == few
    best = {"batch_size": 8, "optimizer": {"warmup_steps": 2, "lr": 0.0042}, "sampling": {"group": 8}}
    adopted = search(layout, best, space=space, algorithm="random", trials=12)
    assert points(adopted)[0] == many


TWINS = [
    ({"distributions": [{"family": "dirichlet"}, {"family": "dirichlet", "alpha": 0.5}]}, 1),
    ({"distributions": [{"family": "beta", "label": "one"}, {"family": "beta", "label": "two"}]}, 1),
    ({"group": [1, "sample"]}, 1),
    ({"group": [4, "batch"], "batch_size": [4, 16]}, 3),
]


@pytest.mark.parametrize(("space", "runs"), TWINS)
def test_points_that_are_one_run_are_refused_or_passed_over(
    layout: Layout, space: dict[str, Any], runs: int
) -> None:
    with pytest.raises(ConfigError, match=r"the points .* and .* are the same run.*leave one of them out"):
        points(search(layout, space=space))
    found, said = points(search(layout, space=space, algorithm="random", trials=9))
    assert len(found) == runs
    assert len(said) == 1
    assert "are the same run" in said[0]


def test_both_points_are_named(layout: Layout) -> None:
    said = r"the points distribution dirichlet and distribution dirichlet alpha 0\.5 are the same run"
    with pytest.raises(ConfigError, match=said):
        points(search(layout, space=TWINS[0][0]))


def test_a_grid_is_refused_for_one_point_that_cannot_be_trained(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="the point batch_size 5 cannot be trained"):
        points(search(layout, space={"batch_size": [4, 5]}))


def test_a_space_that_hardly_can_be_trained_is_refused(layout: Layout) -> None:
    space = {"batch_size": {"low": 101, "high": 999}}
    train = {"sampling": {"group": 100}}
    with pytest.raises(ConfigError, match="50 points in a row cannot be trained"):
        points(search(layout, {**train, "batch_size": 100}, space=space, algorithm="random", trials=9))


def test_a_mean_is_looked_at_before_anything_is_drawn(layout: Layout) -> None:
    space = {"distributions": [{"family": "uniform"}, {"family": "truncated-normal", "mean": 0.5}]}
    train = {"task": {"name": "three-objectives"}}
    asked = search(layout, train, space=space, algorithm="random", trials=2)
    with pytest.raises(ConfigError, match=r"such as mean: \[\[0\.33, 0\.33, 0\.33\]\]"):
        asked.points(print)


def test_the_points_of_optuna_are_its_own(layout: Layout) -> None:
    asked = search(layout, space=BATCHES, algorithm="optuna", trials=24)
    assert points(asked) == ([], [])
    assert asked.count == 24
    assert search(layout, space=BATCHES, algorithm="optuna", minutes=1).count is None
