"""Searches that draw points until there is no other, or learn from scores what comes next and what stops."""

from collections.abc import Iterator

import pandas as pd
import pytest

from pipelines.core.config import load_section
from pipelines.core.layout import Layout
from pipelines.core.ray_cluster import ray_cluster
from pipelines.core.records import read_json
from pipelines.training.config import TrainConfig
from tiny_search import run_search, runs, searched, write_search

pytestmark = pytest.mark.cluster

MEANS = [[0.2, 0.9], [0.9, 0.2]]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """One for all searches, which join it: its start takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        with ray_cluster(None, num_cpus=1):
            yield


def test_optuna_learns_from_several_objectives_and_time_is_a_budget(layout: Layout) -> None:
    space = {
        "distributions": [{"family": "uniform"}, {"family": "dirichlet", "alpha": {"low": 0.1, "high": 2.0}}],
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "group": ["sample", "batch"],
    }
    objectives = ["hypervolume", "grid_loss"]
    options = {"space": space, "algorithm": "optuna", "sampler": "nsga2", "objectives": objectives}
    write_search(layout, **options, steps=10, trials=4)
    run_search(layout)
    table = searched(layout)
    assert list(table["state"]) == ["completed"] * 4
    assert table["lr"].between(1e-4, 1e-2).all()
    assert table["lr"].nunique() == 4
    dirichlet = table["distribution"] == "dirichlet"
    assert list(table["dirichlet.alpha"].notna()) == list(dirichlet)
    fronts = pd.read_csv(layout.search / "front.csv")
    assert table["hypervolume"].max() in set(fronts["hypervolume"])

    # The same search with another budget resumes: its scores are reported again, and no time is left for more
    # trials than start before the first look at the clock.
    write_search(layout, **options, steps=10, trials=200, minutes=0.001)
    run_search(layout)
    pd.testing.assert_frame_equal(searched(layout)[:4], table, check_dtype=False)
    assert len(searched(layout)) < 200
    assert "RUNNING" not in {run.info.status for run in runs(layout).values()}


def test_weak_trials_are_stopped_early(layout: Layout) -> None:
    write_search(
        layout,
        space={"lr": [0.003, 1e-9, 2e-9]},
        steps=20,
        objectives=["grid_loss"],
        asha={"grace_steps": 10, "reduction": 2},
        concurrent=1,
    )
    run_search(layout)
    table = searched(layout)
    assert list(table["state"]) == ["completed", "pruned", "pruned"]
    assert list(table["step"]) == [20, 10, 10]
    assert runs(layout)["trial-1"].info.status == "FINISHED"


def test_points_are_drawn_until_there_is_no_other(layout: Layout, caplog: pytest.LogCaptureFixture) -> None:
    space = {
        "distributions": [
            {"family": "schedule", "points": {"low": 3, "high": 4}},
            {"family": "truncated-normal", "mean": MEANS},
        ],
        "batch_size": [4, 5],
    }
    write_search(layout, space=space, algorithm="random", minutes=1e6, steps=10)
    run_search(layout)
    assert caplog.text.count("skipped: search.space: point ") == 4
    table = searched(layout)
    assert list(table["state"]) == ["completed"] * 4
    assert set(table["batch_size"]) == {4}
    assert set(table["schedule.points"].dropna()) == {3, 4}
    assert set(table["truncated-normal.mean"].dropna()) == {str(mean) for mean in MEANS}
    best = read_json(layout.search / "record.json")["best"]["point"]
    sampling = load_section(layout.search / "params.yaml", "train", TrainConfig).sampling
    assert sampling.family == best["distribution"]
    assert str(list(sampling.mean or ())) == best.get("truncated-normal.mean", "[]")  # type: ignore[arg-type]
