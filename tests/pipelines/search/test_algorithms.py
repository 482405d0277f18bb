"""Searches that choose what comes next, or what stops, by the scores so far."""

import pandas as pd

from pipelines.paths import Layout
from tiny_search import run_search, runs, searched, write_search


def test_optuna_learns_from_several_objectives_and_time_is_a_budget(layout: Layout) -> None:
    space = {
        "distributions": [{"family": "uniform"}, {"family": "dirichlet", "alpha": {"low": 0.1, "high": 2.0}}],
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "group": ["sample", "batch"],
    }
    objectives = ["hypervolume", "grid_loss"]
    options = {"space": space, "algorithm": "optuna", "sampler": "nsga2", "objectives": objectives}
    write_search(layout, **options, trials=4)
    run_search(layout)
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
    run_search(layout)
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
    run_search(layout)
    table = searched(layout)
    assert table["state"][0] == "completed"
    assert (table["state"] == "pruned").sum() >= 3
    pruned = table[table["state"] == "pruned"]
    assert (pruned["step"] < 80).all()
    assert runs(layout)["trial-1"].info.status == "FINISHED"
