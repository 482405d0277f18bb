from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from pipelines.core.errors import ConfigError
from pipelines.running.worker import Assignment
from pipelines.search.order import Order
from pipelines.search.proposals import Listed, Orders
from pipelines.search.trial_record import Point

TEXTS = dict.fromkeys(("photos", "validation", "fingerprint", "root", "code"), "")


class Remembering(Listed):
    """A list that remembers what it is told."""

    def __init__(self, *points: Point) -> None:
        super().__init__(iter(points), (0,))
        self.told: list[tuple[str, bool]] = []

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.told.append((trial_id, error))


def place(point: Point, seed: int) -> Order:
    if point["lr"] == 0.0:
        raise ConfigError("lr 0 trains nothing")
    folder = f"/lr-{point['lr']}-seed-{seed}"
    assignment = Assignment(folder=folder, config={}, versions={}, **TEXTS)
    return Order(number=1, point=point, seed=seed, assignment=assignment)


def test_every_point_with_every_seed() -> None:
    orders = Orders(Listed(iter([{"lr": 0.1}, {"lr": 0.2}]), (3, 4)), 9, place, print)
    given = [orders.suggest(str(number)) for number in range(5)]
    assert given[-1] == Searcher.FINISHED
    assert [Path(one["folder"]).name for one in given[:-1]] == [
        f"lr-{lr}-seed-{seed}" for lr in (0.1, 0.2) for seed in (3, 4)
    ]


def test_what_cannot_be_trained_is_told_to_both_and_passed_over() -> None:
    searcher, said = Remembering({"lr": 0.0}, {"lr": 0.0}, {"lr": 0.2}), list[str]()
    orders = Orders(searcher, 9, place, said.append)
    assert orders.suggest("a") == {"folder": "/lr-0.2-seed-0"}
    assert said == ["passed over: lr 0 trains nothing"] * 2
    orders.on_trial_complete("a", {}, error=False)
    assert searcher.told == [("a-0", True), ("a-1", True), ("a-2", False)]


def test_nothing_but_such_points_is_an_end() -> None:
    orders = Orders(Remembering(*[{"lr": 0.0}] * 60), 9, place, lambda sentence: None)
    with pytest.raises(ConfigError, match=r"50 points in a row cannot be trained; .*lr 0 trains nothing"):
        orders.suggest("a")
