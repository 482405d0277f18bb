import json
from pathlib import Path

import pandas as pd
import pytest

import pipelines
from pipelines.search.axes import Point
from pipelines.search.results.configurations import group_trials, list_axes, rank_configurations
from pipelines.search.results.plot_tables import FLOOR, label_configurations, parallel_plot, trials_plot
from pipelines.search.trial import TrialRecord
from search_trials import GAP, VOLUME, search, trial

TEMPLATES = Path(pipelines.__file__).parents[1] / ".dvc" / "plots"


def fields(value: object) -> set[str]:
    """The columns that a template names itself."""
    if isinstance(value, dict):
        own = {value["field"]} if "field" in value else set()
        return own.union(*(fields(item) for item in value.values()))
    return set().union(*(fields(item) for item in value)) if isinstance(value, list) else set()


def test_a_row_a_completed_trial_of_what_is_ranked() -> None:
    groups = group_trials(search(4))
    order = rank_configurations(groups, [VOLUME, GAP])
    table = trials_plot(order, [VOLUME, GAP], label_configurations(groups, list_axes(search(4))))
    assert len(table) == 8
    assert list(table["place"]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert table["hypervolume"][:2].mean() == table["hypervolume_mean"][0]
    assert table["label"].nunique() == 4


def test_each_place_is_written_once() -> None:
    table = parallel_plot(search(6), [VOLUME])
    written = table[table["tick"] != ""]
    assert not written.duplicated(["axis", "position"]).any()
    assert set(written["tick"][written["axis"] == "basis"]) == {"delta", "multilinear"}
    assert bool(table["position"].between(0, 1).all())


def test_templates_name_columns_of_the_tables() -> None:
    parallel = fields(json.loads((TEMPLATES / "parallel.json").read_text()))
    anchors = {"<DVC_METRIC_X>", "<DVC_METRIC_Y>", "rev"}
    assert parallel - anchors == {"trial", "objective", "tick"}
    assert parallel - anchors <= set(parallel_plot(search(2), [VOLUME]).columns)
    assert fields(json.loads((TEMPLATES / "seeds.json").read_text())) == anchors


def parallel_rows() -> dict[str, pd.DataFrame]:
    """The rows of each axis."""
    records = [
        trial(0, {"distribution": "uniform", "lr": 0.001, "rank": None}, 0.2),
        trial(1, {"distribution": "dirichlet", "dirichlet.alpha": 1.0, "lr": 0.01, "rank": 8}, 0.4),
        trial(2, {"distribution": "dirichlet", "dirichlet.alpha": 2.0, "lr": 0.1, "rank": 16}, 0.3),
        trial(3, {"distribution": "beta", "lr": 9.0, "rank": 1}, 0.9, state="pruned"),
    ]
    table = parallel_plot(records, [VOLUME])
    return {str(name): rows for name, rows in table.groupby("axis", sort=False)}


def test_only_completed_trials_and_varying_axes_then_the_objectives() -> None:
    found = parallel_rows()
    assert list(found) == ["distribution", "dirichlet.alpha", "lr", "rank", "hypervolume"]
    assert all(list(rows["trial"]) == [0, 1, 2] for rows in found.values())


def test_numbers_are_even_or_even_in_the_logarithm() -> None:
    found = parallel_rows()
    assert list(found["lr"]["position"]) == pytest.approx([0.0, 0.5, 1.0])
    assert list(found["hypervolume"]["position"]) == pytest.approx([0.0, 1.0, 0.5])
    assert list(found["lr"]["tick"]) == ["0.001", "0.01", "0.1"]


def test_values_are_in_order_numbers_first() -> None:
    found = parallel_rows()
    rank = found["rank"].sort_values("position")
    assert list(rank["position"]) == [0.0, 0.5, 1.0]
    assert list(rank["tick"]) == ["8", "16", "none"]
    assert list(found["distribution"]["position"]) == [1.0, 0.0, 0.0]


def test_trials_that_an_axis_does_not_apply_to_are_below_its_values() -> None:
    alpha = parallel_rows()["dirichlet.alpha"]
    assert list(alpha["position"]) == [0.0, FLOOR, 1.0]
    assert list(alpha["tick"]) == ["n/a", "1", "2"]
    assert list(alpha["label"]) == ["n/a", "1", "2"]


def test_many_numbers_are_not_all_written() -> None:
    records = [trial(n, {"lr": 0.1 + n / 100}, n / 100) for n in range(20)]
    table = parallel_plot(records, [VOLUME])
    ticks = table["tick"][table["axis"] == "lr"]
    assert list(ticks[ticks != ""]) == ["0.1", "0.29"]


def labels_of(*points: Point) -> list[str]:
    records: list[TrialRecord] = [trial(number, point) for number, point in enumerate(points)]
    return list(label_configurations(group_trials(records), list_axes(records)).values())


def test_a_label_names_what_varies() -> None:
    assert labels_of(
        {"distribution": "dirichlet", "dirichlet.alpha": 0.12345, "rank": None, "lr": 0.1},
        {"distribution": "dirichlet", "dirichlet.alpha": 0.5, "rank": 4, "lr": 0.1},
        {"distribution": "uniform", "rank": 4, "lr": 0.1},
    ) == ["#0 dirichlet(alpha=0.123), rank=none", "#1 dirichlet(alpha=0.5), rank=4", "#2 uniform, rank=4"]


def test_one_axis_needs_no_name() -> None:
    assert labels_of({"distribution": "uniform"}, {"distribution": "sobol"}) == ["#0 uniform", "#1 sobol"]
    assert labels_of({"distribution": "uniform"}) == ["#0"]
