"""Whole searches, as the processes that people start."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from pipelines.config import load_section
from pipelines.data.photos import PhotoSet
from pipelines.errors import ConfigError, DataError
from pipelines.paths import Layout
from pipelines.records import read_json
from pipelines.search.config import SearchConfig
from pipelines.search.identity import claim, identity
from pipelines.search.order import Order
from pipelines.search.search import Search
from pipelines.search.stage import run
from pipelines.train.config import TrainConfig
from stages import ended, start
from tiny_search import write_search

DISTRIBUTIONS = [{"family": "uniform"}, {"family": "dirichlet", "alpha": 0.5}]


def trials(layout: Layout) -> list[Order]:
    notes = layout.state.glob("search-tiny/trial-*/trial.json")
    return sorted((Order.read(note.parent) for note in notes), key=lambda order: order.number)


def searched(layout: Layout) -> pd.DataFrame:
    return pd.read_parquet(layout.search / "trials.parquet")


def runs(layout: Layout) -> dict[str, Any]:
    client = mlflow.MlflowClient(f"sqlite:///{layout.root}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name: run for run in client.search_runs(experiments)}


def wait_for_a_score(layout: Layout, timeout_s: float = 120) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if any(order.scores() for order in trials(layout)):
            return
        time.sleep(0.1)
    raise AssertionError("no trial was scored")


def test_a_killed_search_goes_on_and_a_diverging_trial_is_a_row(layout: Layout) -> None:
    space = {"distributions": DISTRIBUTIONS, "lr": [0.001, 1.0e9]}
    write_search(layout, space=space, steps=60, concurrent=1, max_failures=0)
    search = start(layout, stage="search")
    wait_for_a_score(layout)
    os.kill(search.pid, signal.SIGKILL)
    search.communicate()
    scored = {order.number: order.scores() for order in trials(layout) if order.scores()}

    said = ended(start(layout, stage="search"), 0)

    assert "going on" in said
    assert "trial 2 failed: the loss is nan" in said
    assert "Traceback" not in said
    table = searched(layout)
    assert list(table["state"]) == ["completed", "failed"] * 2
    assert table[table["state"] == "failed"]["reason"].str.contains("lower train.optimizer.lr").all()
    assert table[table["state"] == "completed"]["hypervolume"].between(0, 1).all()
    for order in trials(layout):  # what was there was told again, not made again
        assert order.scores()[: len(scored.get(order.number, []))] == scored.get(order.number, [])
    later = (trials(layout)[2].folder / "log.jsonl").read_text()
    assert later.count('"grad_norm"') == 6  # it began after the kill, and every point of it is there once
    _assert_tracked(layout)
    _assert_best_can_be_trained(layout)


def _assert_tracked(layout: Layout) -> None:
    by_name = runs(layout)
    assert sorted(by_name) == ["search-tiny", *(f"trial-{number}" for number in range(1, 5))]
    parent = by_name.pop("search-tiny").info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in by_name.values()} == {parent}
    assert {name: run.info.status for name, run in by_name.items() if run.info.status != "FINISHED"} == {
        f"trial-{number}": "FAILED" for number in (2, 4)
    }
    best = by_name["trial-1"].data
    assert best.metrics["score.hypervolume"] == searched(layout)["hypervolume"][0]
    assert best.params["point.distribution"] == "uniform"


def _assert_best_can_be_trained(layout: Layout) -> None:
    best = read_json(layout.search / "record.json")["best"]["point"]
    config = load_section(layout.search / "params.yaml", "train", TrainConfig)
    assert config.steps == 30  # in full, not as in the search
    assert config.optimizer.lr == best["lr"] == 0.001
    assert config.sampling.family == best["distribution"].split()[0]


def test_another_search_of_the_name_is_refused(layout: Layout) -> None:
    write_search(layout, space={"lr": [0.001]})
    claim(layout.state / "search-tiny", _identity(layout))
    for change, said in (
        ({"space": {"lr": [0.002]}}, r"search\.space\.lr\.values was \[0\.001\], is \[0\.002\]"),
        ({"steps": 40}, r"search\.steps was 20, is 40"),
        ({"train": {"batch_size": 8}}, r"train\.batch_size was 4, is 8"),
    ):
        write_search(layout, **{"space": {"lr": [0.001]}, **change})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=said):
            run(load_section(layout.params, "search", SearchConfig), layout)


def _identity(layout: Layout) -> dict[str, Any]:
    """That of the search that the parameters say now."""
    config = load_section(layout.params, "search", SearchConfig)
    base = load_section(layout.params, "train", TrainConfig)
    photos, held_out = (PhotoSet.open(layout.prepare / split) for split in ("train", "validation"))
    return identity(Search(config=config, base=base, layout=layout), photos, held_out)


def test_nothing_to_score_on_is_told(layout: Layout, tmp_path: Path) -> None:
    write_search(layout, space={"lr": [0.001]})
    (layout.prepare / "validation").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="run 'dvc repro prepare' first"):
        run(load_section(layout.params, "search", SearchConfig), layout)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objectives": ["hypervolum"]}, "'hypervolum' is no measure; available are hypervolume"),
        ({"objectives": ["specialist_gap_mean"]}, r"needs search\.measure\.specialists"),
        ({"space": {"group": [3]}}, "the point group 3 cannot be trained"),
        ({"space": {"lr": {"low": 0.1, "high": 1.0}}}, "axis lr is a range"),
        ({"space": {"rank": [2], "basis": ["affine"]}}, "leave rank out"),
    ],
)
def test_a_plan_that_cannot_work_is_told_before_anything_runs(
    layout: Layout, options: dict[str, Any], said: str
) -> None:
    write_search(layout, **{"space": {"lr": [0.001]}, **options})
    with pytest.raises(ConfigError, match=said):
        run(load_section(layout.params, "search", SearchConfig), layout)
    assert not layout.state.exists()


def test_the_best_is_adopted_and_what_was_there_is_kept(layout: Layout) -> None:
    write_search(layout, space={"lr": [0.001, 1e-9]}, objectives=["grid_loss"], steps=80)
    before = layout.params.read_text()
    config = load_section(layout.params, "search", SearchConfig)
    run(config, layout, adopt=True)
    assert load_section(layout.params, "train", TrainConfig).optimizer.lr == 0.001
    kept = layout.state / "search-tiny" / "params-before-1.yaml"
    assert kept.read_text() == before
    claim(kept.parent, _identity(layout))  # it is the same search still


def test_optuna_learns_from_several_objectives_and_time_is_a_budget(layout: Layout) -> None:
    space = {
        "distributions": [{"family": "uniform"}, {"family": "dirichlet", "alpha": {"low": 0.1, "high": 2.0}}],
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "group": ["sample", "batch"],
    }
    objectives = ["hypervolume", "grid_loss"]
    options = {"space": space, "algorithm": "optuna", "sampler": "nsga2", "objectives": objectives}
    write_search(layout, **options, trials=4)
    ended(start(layout, stage="search"), 0)
    table = searched(layout)
    assert list(table["state"]) == ["completed"] * 4
    assert table["lr"].between(1e-4, 1e-2).all()
    assert table["lr"].nunique() == 4
    dirichlet = table["distribution"] == "dirichlet"
    assert list(table["dirichlet.alpha"].notna()) == list(dirichlet)
    fronts = pd.read_csv(layout.search / "front.csv")
    assert table["hypervolume"].max() in set(fronts["hypervolume"])

    # The same search with another budget goes on: what is there is told again, and no time is left for more.
    write_search(layout, **options, trials=9, minutes=0.001)
    ended(start(layout, stage="search"), 0)
    pd.testing.assert_frame_equal(searched(layout)[:4], table, check_dtype=False)
    assert len(searched(layout)) < 9
    assert "RUNNING" not in {run.info.status for run in runs(layout).values()}


def test_weak_trials_are_stopped_early(layout: Layout) -> None:
    space = {"lr": [0.003, 1e-9, 2e-9, 3e-9, 4e-9, 5e-9]}
    write_search(
        layout,
        space=space,
        steps=80,
        objectives=["grid_loss"],
        asha={"grace_steps": 10, "reduction": 2},
        concurrent=1,
    )
    ended(start(layout, stage="search"), 0)
    table = searched(layout)
    assert table["state"][0] == "completed"
    assert (table["state"] == "pruned").sum() >= 3
    pruned = table[table["state"] == "pruned"]
    assert (pruned["step"] < 80).all()
    assert runs(layout)["trial-1"].info.status == "FINISHED"


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
