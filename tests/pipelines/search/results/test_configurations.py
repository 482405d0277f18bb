import pytest

from pipelines.search.results.configurations import axes_of, configurations, measures_of
from search_trials import trial


def test_equal_points_are_one_configuration_whatever_the_order_of_their_axes() -> None:
    records = [
        trial(1, {"lr": 0.1, "basis": "delta"}),
        trial(0, {"lr": 1.0}),
        trial(2, {"basis": "delta", "lr": 0.1}, seed=1),
    ]
    found = configurations(records)
    assert [(c.number, [t.number for t in c.trials]) for c in found] == [(0, [0]), (1, [1, 2])]
    assert [c.complete for c in found] == [False, True]


def test_a_null_is_not_a_missing_axis() -> None:
    assert len(configurations([trial(0, {"rank": None}), trial(1, {})])) == 2


def test_only_completed_trials_count() -> None:
    point = {"lr": 0.1}
    records = [
        trial(0, point, 1.0, seed=0),
        trial(1, point, 2.0, seed=1),
        trial(2, point, 9.0, seed=2, state="pruned"),
        trial(3, point, None, seed=2, state="failed"),
    ]
    (only,) = configurations(records)
    assert only.mean("hypervolume") == 1.5
    assert only.deviation("hypervolume") == pytest.approx(0.5**0.5)
    assert only.mean("violations") is None
    assert not only.complete


def test_one_seed_has_no_deviation() -> None:
    (only,) = configurations([trial(0, {"lr": 0.1}, 1.0)])
    assert only.deviation("hypervolume") is None
    assert only.complete


def test_an_axis_of_some_trials_stands_behind_its_neighbour() -> None:
    records = [
        trial(0, {"distribution": "uniform", "lr": 0.1}),
        trial(1, {"distribution": "dirichlet", "dirichlet.alpha": 0.5, "lr": 0.1}, {"b": 1.0, "a": 1.0}),
    ]
    assert axes_of(records) == ("distribution", "dirichlet.alpha", "lr")
    assert measures_of(records[1:]) == ("b", "a")
