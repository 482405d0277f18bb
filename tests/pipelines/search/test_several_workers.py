"""Trials that have workers of their own."""

import shutil

import pytest

from pipelines.paths import Layout
from stages import ended, start
from tiny_search import DISTRIBUTIONS, searched, write_search


@pytest.mark.faults
def test_trials_of_several_workers_score_like_those_of_one(layout: Layout) -> None:
    write_search(layout, space={"distributions": DISTRIBUTIONS})
    ended(start(layout, stage="search"), 0)
    alone = searched(layout)
    write_search(layout, space={"distributions": DISTRIBUTIONS}, workers=2)
    shutil.rmtree(layout.state)
    ended(start(layout, stage="search"), 0, timeout_s=280)
    together = searched(layout)
    assert list(together["state"]) == ["completed"] * 2
    assert list(together["hypervolume"]) == pytest.approx(list(alone["hypervolume"]), rel=1e-3)
