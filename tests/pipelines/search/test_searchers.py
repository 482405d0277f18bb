from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from pipelines.core.errors import ConfigError
from pipelines.running.job import TrainJob
from pipelines.search.axes import Point
from pipelines.search.searchers import ListSearcher, SpecSearcher
from pipelines.search.trial import TrialSpec
from pipelines.training.config import TrainConfig

PATHS = dict.fromkeys(("photos", "validation", "root"), Path())


class Remembering(ListSearcher):
    """A list that remembers which trials ended, and whether by an error."""

    def __init__(self, *points: Point) -> None:
        super().__init__(iter(points), (0,))
        self.ended: list[tuple[str, bool]] = []

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.ended.append((trial_id, error))


def add_trial(point: Point, seed: int) -> TrialSpec:
    if point["lr"] == 0.0:
        raise ConfigError("lr 0 trains nothing")
    folder = Path(f"/lr-{point['lr']}-seed-{seed}")
    job = TrainJob(config=TrainConfig(), folder=folder, fingerprint="", code="", versions={}, **PATHS)
    return TrialSpec(number=1, point=point, seed=seed, job=job)


def test_every_point_with_every_seed() -> None:
    searcher = SpecSearcher(ListSearcher(iter([{"lr": 0.1}, {"lr": 0.2}]), (3, 4)), 9, add_trial)
    given = [searcher.suggest(str(number)) for number in range(5)]
    assert given[-1] == Searcher.FINISHED
    assert [Path(one["folder"]).name for one in given[:-1]] == [
        f"lr-{lr}-seed-{seed}" for lr in (0.1, 0.2) for seed in (3, 4)
    ]


def test_untrainable_points_are_skipped_and_known_to_the_searcher(caplog: pytest.LogCaptureFixture) -> None:
    inner = Remembering({"lr": 0.0}, {"lr": 0.0}, {"lr": 0.2})
    searcher = SpecSearcher(inner, 9, add_trial)
    assert searcher.suggest("a") == {"folder": "/lr-0.2-seed-0"}
    assert ["lr 0 trains nothing" in message for message in caplog.messages] == [True] * 2
    searcher.on_trial_complete("a", {}, error=False)
    assert inner.ended == [("a-0", True), ("a-1", True), ("a-2", False)]


def test_nothing_but_such_points_is_an_end() -> None:
    searcher = SpecSearcher(Remembering(*[{"lr": 0.0}] * 60), 9, add_trial)
    with pytest.raises(ConfigError, match=r"50 .*lr 0 trains nothing"):
        searcher.suggest("a")


def test_a_point_under_way_gets_no_second_trial() -> None:
    same, other = {"lr": 0.1}, {"lr": 0.2}
    inner = Remembering(same, same, other, *[same] * 9)
    searcher = SpecSearcher(inner, 9, add_trial)
    assert searcher.suggest("a") == {"folder": "/lr-0.1-seed-0"}
    assert searcher.suggest("b") == {"folder": "/lr-0.2-seed-0"}
    for _ in range(5):  # of which only the first asks for points
        assert searcher.suggest("c") is None
    searcher.on_trial_complete("b", {}, error=False)
    assert searcher.suggest("d") is None
    searcher.on_trial_complete("a", {}, error=False)
    twins = [f"c-{number}" for number in range(3)] + [f"d-{number}" for number in range(3)]
    assert inner.ended == [("b-1", False), ("a-0", False), ("b-0", False), *((name, False) for name in twins)]
    assert searcher.suggest("e") == {"folder": "/lr-0.1-seed-0"}  # is over, and tells its score at once
