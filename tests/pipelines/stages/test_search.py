"""Whole searches, as the processes that people start."""

import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.core.config import load_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json
from pipelines.data.photos import PhotoSet
from pipelines.search.identity import claim_folder, identify_search
from pipelines.training.config import TrainConfig
from stages import ended, start
from tiny_search import make_layout, run_search, runs, search_of, searched, trials, write_search
from waiting import wait_until

STEPS = 40
SCORES = 4
"""Of a trial: one every 10 steps."""

pytestmark = pytest.mark.usefixtures("database", "patient_tracking")


@pytest.fixture(autouse=True)
def private(patient_tracking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the cluster nor the MLflow of whoever runs the tests."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def layout(tmp_path: Path, migrated: Path) -> Layout:
    return make_layout(tmp_path, migrated)


def wait_for_scores(layout: Layout, search: subprocess.Popen[str], count: int, trial: int = 1) -> None:
    """Wait until that trial has so many."""

    def have_come() -> bool:
        assert search.poll() is None, search.communicate()[0]
        return any(spec.number == trial and len(spec.scores()) >= count for spec in trials(layout))

    wait_until(have_come)


def kill_trial(search: subprocess.Popen[str]) -> None:
    """End the process that trains, as a machine without memory does."""
    for process in psutil.Process(search.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # one that has just ended
            # Ray names it after the call it is in: ray::ImplicitFunc.train, or no call for a moment.
            if "".join(process.cmdline()[:1]).startswith("ray::ImplicitFunc"):
                process.kill()
                return
    raise AssertionError("no trial is running")


@pytest.mark.cluster
@pytest.mark.faults
def test_a_killed_search_resumes_and_a_diverging_trial_is_a_row(
    layout: Layout, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    space = {"lr": [0.001, 1.0e9, 0.002]}
    write_search(layout, space=space, steps=STEPS, concurrent=1, max_failures=1)
    search = start(layout, stage="search", hold_after=15)
    wait_for_scores(layout, search, 1)
    kill_trial(search)
    wait_for_scores(layout, search, 2)  # in another process, from the last checkpoint
    search.kill()
    search.communicate()
    scored = {spec.number: spec.scores() for spec in trials(layout) if spec.scores()}
    write_search(layout, space=space, steps=STEPS, concurrent=1, max_failures=0)

    run_search(layout)

    said = capsys.readouterr().out
    assert "resuming" in said
    assert "trial 2 failed: " in caplog.text
    assert "Traceback" not in said
    table = searched(layout)
    assert list(table["state"]) == ["completed", "failed", "completed"]
    assert table[table["state"] == "failed"]["reason"].str.contains("lower train.optimizer.lr").all()
    assert table[table["state"] == "completed"]["hypervolume"].between(0, 1).all()
    for spec in trials(layout):  # earlier scores were reported again, not computed again
        assert spec.scores()[: len(scored.get(spec.number, []))] == scored.get(spec.number, [])
    later = (trials(layout)[2].folder / "log.jsonl").read_text()
    assert later.count('"grad_norm"') == SCORES  # it began after the kill; every point is there once
    _assert_tracked(layout)
    _assert_best_can_be_trained(layout)


def _assert_tracked(layout: Layout) -> None:
    by_name = runs(layout)
    assert sorted(by_name) == ["search-tiny", "trial-1", "trial-2", "trial-3"]
    parent = by_name.pop("search-tiny").info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in by_name.values()} == {parent}
    assert {name for name, run in by_name.items() if run.info.status == "FAILED"} == {"trial-2"}
    assert {run.info.status for run in by_name.values()} == {"FINISHED", "FAILED"}
    first = by_name["trial-1"].data
    assert first.metrics["score/hypervolume"] == searched(layout)["hypervolume"][0]
    assert first.params["point.lr"] == "0.001"


def _assert_best_can_be_trained(layout: Layout) -> None:
    best = read_json(layout.search / "record.json")["best"]["point"]
    config = load_section(layout.search / "params.yaml", "train", TrainConfig)
    assert config.steps == 30  # in full, not as in the search
    assert config.optimizer.lr == best["lr"]
    assert best["lr"] in {0.001, 0.002}


def test_another_search_of_the_name_is_refused(layout: Layout) -> None:
    write_search(layout, space={"lr": [0.001]})
    claim_folder(layout.state / "search-tiny", _identity(layout))
    for change, said in (
        ({"space": {"lr": [0.002]}}, r"search\.space\.lr\.values was \[0\.001\], is \[0\.002\]"),
        ({"steps": 40}, r"search\.steps was 20, is 40"),
        ({"train": {"batch_size": 8}}, r"train\.batch_size was 4, is 8"),
    ):
        write_search(layout, **{"space": {"lr": [0.001]}, **change})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=said):
            run_search(layout)


def _identity(layout: Layout) -> dict[str, Any]:
    """That of the search that the parameters say now."""
    photos, held_out = (PhotoSet.open(layout.prepare / split) for split in ("train", "validation"))
    return identify_search(search_of(layout), photos, held_out)


def test_nothing_to_score_on_is_refused(layout: Layout, tmp_path: Path) -> None:
    write_search(layout, space={"lr": [0.001]})
    (layout.prepare / "validation").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="prepare"):
        run_search(layout)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objectives": ["hypervolum"]}, "'hypervolum'.*hypervolume"),
        ({"objectives": ["specialist_gap_mean"]}, r"needs search\.measure\.specialists"),
        ({"space": {"group": [3]}}, "point group 3"),
        ({"space": {"lr": {"low": 0.1, "high": 1.0}}}, "lr"),
        ({"space": {"rank": [2], "basis": ["affine"]}}, "rank"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_anything_runs(
    layout: Layout, options: dict[str, Any], said: str
) -> None:
    write_search(layout, **{"space": {"lr": [0.001]}, **options})
    with pytest.raises(ConfigError, match=said):
        run_search(layout)
    assert not layout.state.exists()


@pytest.mark.cluster
def test_a_stopped_search_leaves_what_has_finished_resumes_and_its_best_is_adopted(layout: Layout) -> None:
    options: dict[str, Any] = {"space": {"lr": [0.001, 1e-9]}, "objectives": ["grid_loss"], "steps": 30}
    write_search(layout, **options, concurrent=1)
    search = start(layout, stage="search", hold_after=15, hold_not=1)
    wait_for_scores(layout, search, 1, trial=2)  # so the first one has ended
    search.send_signal(signal.SIGINT)
    assert "search: stopped; the results of 1 of " in ended(search, 130)
    assert set(searched(layout)["state"][1:]) <= {"unfinished"}
    assert read_json(layout.search / "record.json")["best"]["point"] == {"lr": 0.001}

    before = layout.params.read_text()
    run_search(layout, adopt=True)
    assert list(searched(layout)["state"]) == ["completed"] * 2
    assert load_section(layout.params, "train", TrainConfig).optimizer.lr == 0.001
    kept = layout.state / "search-tiny" / "params-before-1.yaml"
    assert kept.read_text() == before
    claim_folder(kept.parent, _identity(layout))  # it is the same search still
