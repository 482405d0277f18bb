"""Trials in this process, interrupted where it hurts."""

import shutil
from typing import Any

import pytest

from pipelines.core.layout import Layout
from pipelines.running.local import launch_job
from pipelines.search.search import Search
from pipelines.search.store import TrialStore
from pipelines.search.trial import TrialSpec
from pipelines.search.trial_worker import FOLDER, ScoreCheckpoint, run_trial
from pipelines.tracking.sync import RunSync
from pipelines.training.loop import Hooks, Stopped
from tiny_search import search_of, write_search
from tunable_models import TunableNetwork
from waiting import wait_until

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """Stands for the end of the process."""


def add_trial(search: Search) -> TrialSpec:
    sync = RunSync(search.folder, search.layout.root, search.folder.name)
    return TrialStore(search, search.objectives()[0], sync).add({"lr": 0.001}, 0)


def run_to_end(search: Search, spec: TrialSpec) -> list[dict[str, Any]]:
    """What a trial that runs to its end reports to Tune."""
    reports: list[dict[str, Any]] = []
    run_trial({FOLDER: str(spec.folder)}, search.scorer, reports.append)
    return reports


def train_until_killed_behind_checkpoint(search: Search, spec: TrialSpec, step: int) -> None:
    scoring = ScoreCheckpoint(spec, search.scorer)

    def at_checkpoint(at: int, network: TunableNetwork) -> None:
        if at == step:
            wait_until(lambda: spec.job.store.newest() == step)  # it is written beside training
            raise Killed
        scoring(at, network)

    with pytest.raises(Killed):
        launch_job(spec.job, Hooks(at_checkpoint=at_checkpoint))


@pytest.mark.parametrize("step", [10, 30], ids=["a rung", "the last"])
def test_a_score_that_was_lost_between_a_checkpoint_and_its_line_is_made_up_for(
    layout: Layout, step: int
) -> None:
    write_search(layout, space={"lr": [0.001]}, steps=30)
    search = search_of(layout)
    whole = run_to_end(search, add_trial(search))
    assert [report["step"] for report in whole] == [10, 20, 30]
    shutil.rmtree(search.folder)

    spec = add_trial(search)
    train_until_killed_behind_checkpoint(search, spec, step)
    assert step not in dict(spec.scores())
    again = run_to_end(search, spec)

    assert [report["step"] for report in again] == [10, 20, 30]
    for one, other in zip(again, whole, strict=True):
        assert one == pytest.approx(other)
    assert (spec.folder / "log.jsonl").read_text().count('"score"') == 3


def test_a_checkpoint_that_is_not_due_for_a_score_gets_none(layout: Layout) -> None:
    write_search(layout, space={"lr": [0.001]}, steps=30)
    search = search_of(layout)
    spec = add_trial(search)
    asked = iter(range(100))
    hooks = Hooks(at_checkpoint=ScoreCheckpoint(spec, search.scorer), stop=lambda: next(asked) == 14)
    with pytest.raises(Stopped):
        launch_job(spec.job, hooks)
    assert [report["step"] for report in run_to_end(search, spec)] == [10, 20, 30]


def test_a_worker_that_ray_restarts_scores_what_the_one_before_did_not(layout: Layout) -> None:
    write_search(layout, space={"lr": [0.001]}, steps=30)
    search = search_of(layout)
    spec = add_trial(search)
    train_until_killed_behind_checkpoint(search, spec, 20)
    scoring = ScoreCheckpoint(spec, search.scorer)  # of Ray's next worker; the trial knows of no restart
    launch_job(spec.job, Hooks(at_checkpoint=scoring, at_resume=scoring.score_missed))
    assert [step for step, _ in spec.scores()] == [10, 20, 30]
    launch_job(spec.job, Hooks(at_checkpoint=scoring, at_resume=scoring.score_missed))
    assert (spec.folder / "log.jsonl").read_text().count('"score"') == 3
