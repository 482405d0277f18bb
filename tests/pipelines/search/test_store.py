"""MLflow runs of trials when a search has resumed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import mlflow
import pytest

from pipelines.core.layout import Layout
from pipelines.measure.judge import Score
from pipelines.search.search import Search
from pipelines.search.store import TrialStore
from pipelines.search.trial import TrialSpec
from pipelines.tracking import run_folder
from pipelines.tracking.run_folder import RunFolder
from pipelines.tracking.sync import RunSync
from tiny_search import runs, search_of, write_search
from waiting import UNREACHED_S

pytestmark = pytest.mark.slow

POINT = {"lr": 0.001}


@pytest.fixture
def search(layout: Layout) -> Search:
    write_search(layout, space={"lr": [POINT["lr"]]})
    return search_of(layout)


def opened(search: Search, sync: RunSync) -> TrialStore:
    return TrialStore(search, search.objectives()[0], sync)


def sync_of(search: Search) -> RunSync:
    return RunSync(search.folder, search.layout.root, search.folder.name, every_s=0.05)


@contextmanager
def ending(search: Search) -> Iterator[TrialStore]:
    """A time of the search that ends as it should."""
    sync = sync_of(search)
    with sync:
        store = opened(search, sync)
        yield store
        store.close()
    sync.finish("FINISHED", deadline_s=UNREACHED_S)


def killed(search: Search) -> TrialStore:
    """That of a search that is killed before anything reaches the server."""
    return opened(search, sync_of(search))


def score(spec: TrialSpec, *steps: int) -> None:
    for step in steps:
        spec.log_score(step, Score(measures={"hypervolume": step / 100}, settings=()))


def tracked(search: Search) -> tuple[Any, list[int]]:
    """The MLflow run of the only trial, and the steps of its scores."""
    run = runs(search.layout)["trial-1"]
    client = mlflow.MlflowClient(f"sqlite:///{search.layout.root}/mlflow.db")
    return run.info, [point.step for point in client.get_metric_history(run.info.run_id, "score/hypervolume")]


def test_a_failure_that_another_attempt_overcomes_does_not_stay_one(search: Search) -> None:
    with ending(search) as store:
        spec = store.add(POINT, 0)
        store.on_start(spec.folder)
        score(spec, 10)
        store.on_end(spec.folder, "its process died", pruned=False)
    info, steps = tracked(search)
    assert (info.status, steps) == ("FAILED", [10])

    with ending(search) as store:
        store.on_start(spec.folder)
        spec.clear_outcome()
        score(spec, 20)
        store.on_end(spec.folder, "", pruned=False)
    info, steps = tracked(search)
    assert (info.status, steps) == ("FINISHED", [10, 20])


def test_a_failure_that_would_come_again_stays_as_it_was(search: Search) -> None:
    with ending(search) as store:
        spec = store.add(POINT, 0)
        store.on_start(spec.folder)
        spec.set_outcome("failed", "the loss is nan", lasting=True)
        store.on_end(spec.folder, "the loss is nan", pruned=False)
    before, _ = tracked(search)
    with ending(search) as store:
        store.on_start(spec.folder)
        store.on_end(spec.folder, "the loss is nan", pruned=False)
    after, _ = tracked(search)
    assert (after.status, after.end_time) == ("FAILED", before.end_time)


@pytest.mark.parametrize("began_again", [True, False], ids=["reported again", "no time left"])
def test_what_ended_before_a_kill_arrives_afterwards_as_it_ended(
    search: Search, monkeypatch: pytest.MonkeyPatch, began_again: bool
) -> None:
    store = killed(search)
    spec = store.add(POINT, 0)
    store.on_start(spec.folder)
    score(spec, 10, 20)
    store.on_end(spec.folder, "", pruned=False)
    plan = RunFolder(spec.folder).plan()
    monkeypatch.setattr(run_folder, "now_ms", lambda: 0)  # a repeated end would differ

    with ending(search) as store:
        if began_again:
            store.on_start(spec.folder)
            store.on_end(spec.folder, "", pruned=False)
    info, steps = tracked(search)
    assert plan is not None
    assert (info.status, info.end_time, steps) == ("FINISHED", plan.ended_ms, [10, 20])


def test_what_was_under_way_at_a_kill_and_does_not_begin_again_is_not_running(search: Search) -> None:
    store = killed(search)
    spec = store.add(POINT, 0)
    store.on_start(spec.folder)
    score(spec, 10)
    with ending(search):
        pass
    info, steps = tracked(search)
    assert (info.status, steps) == ("KILLED", [10])


def test_a_trial_that_resumes_under_other_versions_says_so(
    search: Search, caplog: pytest.LogCaptureFixture
) -> None:
    spec = killed(search).add(POINT, 0)
    now = spec.job.versions
    before = replace(spec, job=replace(spec.job, versions=now | {"torch": "1.0"}))
    before.write()
    assert not killed(search).add(POINT, 0).lineage  # it starts from nothing
    spec.job.store.save(10, {})
    assert not killed(search).add(POINT, 0).lineage

    before.write()
    again = killed(search).add(POINT, 0)
    changed = {"torch": {"was": "1.0", "is": now["torch"]}}
    event = {"fingerprint": spec.job.fingerprint, "step": 10, "versions": changed}
    assert list(again.lineage) == [event]
    assert list(TrialSpec.read(again.folder).lineage) == [event]
    assert "trial 1 resumes from step 10 with torch" in caplog.text
    score(again, 20)  # its last step: nothing is trained any more
    replace(before, lineage=again.lineage).write()
    assert list(killed(search).add(POINT, 0).lineage) == [event]
