"""Trials in this process, interrupted where it hurts."""

import shutil
from typing import Any

import pytest

from pipelines.core.layout import Layout
from pipelines.running.launch import launch
from pipelines.search.book import Book
from pipelines.search.order import Order
from pipelines.search.search import Search
from pipelines.search.trial import FOLDER, Scoring, run_trial
from pipelines.tracking.mirror import Mirror
from pipelines.training.loop import Hooks, Stopped
from tiny_search import search_of, write_search
from tunable_models import TunableNetwork

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """Stands for the end of the process."""


def place(search: Search) -> Order:
    mirror = Mirror(search.folder, search.layout.root, search.folder.name)
    return Book(search, search.objectives()[0], mirror).place({"lr": 0.001}, 0)


def told(search: Search, order: Order) -> list[dict[str, Any]]:
    """What Tune is told by a trial that runs to its end."""
    reports: list[dict[str, Any]] = []
    run_trial({FOLDER: str(order.folder)}, search.scorer, reports.append)
    return reports


def train_until_killed_behind_checkpoint(search: Search, order: Order, step: int) -> None:
    scoring = Scoring(order, search.scorer)

    def at_checkpoint(at: int, network: TunableNetwork) -> None:
        if at == step:
            raise Killed
        scoring(at, network)

    with pytest.raises(Killed):
        launch(order.assignment, order.config.compute, Hooks(at_checkpoint=at_checkpoint))


@pytest.mark.parametrize("step", [10, 30], ids=["a rung", "the last"])
def test_a_score_that_was_lost_between_a_checkpoint_and_its_line_is_made_up_for(
    layout: Layout, step: int
) -> None:
    write_search(layout, space={"lr": [0.001]}, steps=30)
    search = search_of(layout)
    whole = told(search, place(search))
    assert [report["step"] for report in whole] == [10, 20, 30]
    shutil.rmtree(search.folder)

    order = place(search)
    train_until_killed_behind_checkpoint(search, order, step)
    assert step not in dict(order.scores())
    again = told(search, order)

    assert [report["step"] for report in again] == [10, 20, 30]
    for one, other in zip(again, whole, strict=True):
        assert one == pytest.approx(other)
    assert (order.folder / "log.jsonl").read_text().count('"score"') == 3


def test_a_checkpoint_that_is_not_due_for_a_score_gets_none(layout: Layout) -> None:
    write_search(layout, space={"lr": [0.001]}, steps=30)
    search = search_of(layout)
    order = place(search)
    asked = iter(range(100))
    hooks = Hooks(at_checkpoint=Scoring(order, search.scorer), stop=lambda: next(asked) == 14)
    with pytest.raises(Stopped):
        launch(order.assignment, order.config.compute, hooks)
    assert [report["step"] for report in told(search, order)] == [10, 20, 30]
