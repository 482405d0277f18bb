"""Trials that have workers of their own."""

import shutil

import pytest

from pipelines.core.layout import Layout
from stages import ended, start
from tiny_search import DISTRIBUTIONS, runs, searched, write_search


@pytest.mark.faults
@pytest.mark.cluster
def test_trials_of_several_workers_score_like_those_of_one(layout: Layout) -> None:
    write_search(layout, space={"distributions": DISTRIBUTIONS})
    ended(start(layout, stage="search"), 0)
    alone = searched(layout)
    write_search(layout, space={"distributions": DISTRIBUTIONS}, workers=2)
    shutil.rmtree(layout.state)
    ended(start(layout, stage="search"), 0)
    together = searched(layout)
    assert list(together["state"]) == ["completed"] * 2
    assert list(together["hypervolume"]) == pytest.approx(list(alone["hypervolume"]), rel=1e-3)


@pytest.mark.faults
@pytest.mark.cluster
def test_weak_ones_are_stopped_and_make_room(layout: Layout) -> None:
    # One of two cores a worker: a trial at a time has room, and three want it.
    write_search(
        layout,
        space={"lr": [0.003, 1e-9, 2e-9]},
        steps=40,
        workers=2,
        objectives=["grid_loss"],
        asha={"grace_steps": 10, "reduction": 2},
    )
    ended(start(layout, stage="search"), 0)
    table = searched(layout)
    assert table["state"][0] == "completed"
    assert (table["state"] == "pruned").sum() >= 1
    assert (table[table["state"] == "pruned"]["step"] < 40).all()
    assert runs(layout)["trial-1"].info.status == "FINISHED"
