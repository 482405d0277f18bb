"""Which points a search trains."""

from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.search.config import SearchConfig
from pipelines.search.search import Search
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


def test_a_random_search_of_few_points_ends(layout: Layout) -> None:
    space = {"distributions": [{"family": "uniform"}, SCHEDULE]}
    for budget in ({"trials": 24}, {"minutes": 5}):
        made = search(layout, space=space, algorithm="random", seeds=[0, 1], **budget)
        assert len(list(made.points())) == 6
        assert made.count == 12


def test_drawn_points_that_cannot_be_trained_are_skipped(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    made = search(layout, space=BATCHES, algorithm="random", trials=24)
    assert sorted(str(point["batch_size"]) for point in made.points()) == ["2", "4", "6", "8"]
    assert made.count == 4
    assert len(caplog.messages) == 4
    assert all("batch_size" in message for message in caplog.messages)
    assert len(list(search(layout, space=BATCHES, algorithm="random", trials=3).points())) == 3


def test_a_resumed_search_gets_the_same_points(layout: Layout) -> None:
    space = {**BATCHES, "lr": {"low": 0.001, "high": 0.01}, "group": [2, "batch"]}
    few = list(search(layout, space=space, algorithm="random", trials=5).points())
    many = list(search(layout, space=space, algorithm="random", trials=12).points())
    timed = search(layout, space=space, algorithm="random", minutes=1).points()
    assert [next(timed) for _ in range(12)] == many
    assert many[:5] == few
    best = {"batch_size": 8, "optimizer": {"warmup_steps": 2, "lr": 0.0042}, "sampling": {"group": 8}}
    adopted = search(layout, best, space=space, algorithm="random", trials=12)
    assert list(adopted.points()) == many


TWINS = [
    ({"distributions": [{"family": "dirichlet"}, {"family": "dirichlet", "alpha": 0.5}]}, 1),
    ({"distributions": [{"family": "beta", "label": "one"}, {"family": "beta", "label": "two"}]}, 1),
    ({"group": [1, "sample"]}, 1),
    ({"group": [4, "batch"], "batch_size": [4, 16]}, 3),
]


@pytest.mark.parametrize(("space", "runs"), TWINS)
def test_points_that_are_one_run_are_refused_or_skipped(
    layout: Layout, caplog: pytest.LogCaptureFixture, space: dict[str, Any], runs: int
) -> None:
    with pytest.raises(ConfigError, match="same run"):
        search(layout, space=space).points()
    assert len(list(search(layout, space=space, algorithm="random", trials=9).points())) == runs
    [message] = caplog.messages
    assert "same run" in message


def test_both_points_are_named(layout: Layout) -> None:
    with pytest.raises(ConfigError, match=r"distribution dirichlet .*distribution dirichlet alpha 0\.5 "):
        search(layout, space=TWINS[0][0]).points()


def test_a_grid_is_refused_for_one_point_that_cannot_be_trained(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="batch_size 5"):
        search(layout, space={"batch_size": [4, 5]}).points()


def test_a_space_that_hardly_can_be_trained_is_refused(layout: Layout) -> None:
    space = {"batch_size": {"low": 101, "high": 999}}
    train = {"sampling": {"group": 100}, "batch_size": 100}
    with pytest.raises(ConfigError, match="50 points"):
        search(layout, train, space=space, algorithm="random", trials=9).points()


def test_a_mean_is_checked_before_anything_is_drawn(layout: Layout) -> None:
    space = {"distributions": [{"family": "uniform"}, {"family": "truncated-normal", "mean": 0.5}]}
    train = {"task": {"name": "three-objectives"}}
    with pytest.raises(ConfigError, match=r"mean: \[\[0\.33, 0\.33, 0\.33\]\]"):
        search(layout, train, space=space, algorithm="random", trials=2).points()


def test_the_points_of_optuna_are_its_own(layout: Layout) -> None:
    made = search(layout, space=BATCHES, algorithm="optuna", trials=24)
    assert list(made.points()) == []
    assert made.count == 24
    assert search(layout, space=BATCHES, algorithm="optuna", minutes=1).count is None
