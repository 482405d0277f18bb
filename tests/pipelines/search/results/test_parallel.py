import pytest

from pipelines.search.results.parallel import FLOOR, ParallelAxis, parallel_axes
from search_trials import VOLUME, trial


def axes() -> dict[str, ParallelAxis]:
    records = [
        trial(0, {"distribution": "uniform", "lr": 0.001, "rank": None}, 0.2),
        trial(1, {"distribution": "dirichlet", "dirichlet.alpha": 1.0, "lr": 0.01, "rank": 8}, 0.4),
        trial(2, {"distribution": "dirichlet", "dirichlet.alpha": 2.0, "lr": 0.1, "rank": 16}, 0.3),
        trial(3, {"distribution": "beta", "lr": 9.0, "rank": 1}, 0.9, state="pruned"),
    ]
    return {axis.name: axis for axis in parallel_axes(records, [VOLUME])}


def test_only_completed_trials_and_varying_axes_then_the_objectives() -> None:
    found = axes()
    assert list(found) == ["distribution", "dirichlet.alpha", "lr", "rank", "hypervolume"]
    assert all(list(axis.positions) == [0, 1, 2] for axis in found.values())


def test_numbers_are_even_or_even_in_the_logarithm() -> None:
    assert list(axes()["lr"].positions.values()) == pytest.approx([0.0, 0.5, 1.0])
    assert list(axes()["hypervolume"].positions.values()) == pytest.approx([0.0, 1.0, 0.5])
    assert [text for _, text in axes()["lr"].ticks] == ["0.001", "0.01", "0.1"]


def test_values_are_in_order_numbers_first() -> None:
    assert axes()["rank"].ticks == ((0.0, "8"), (0.5, "16"), (1.0, "none"))
    assert axes()["distribution"].ticks == ((0.0, "dirichlet"), (1.0, "uniform"))


def test_what_does_not_apply_lies_below_the_values() -> None:
    alpha = axes()["dirichlet.alpha"]
    assert alpha.positions == {0: 0.0, 1: FLOOR, 2: 1.0}
    assert alpha.ticks == ((0.0, "n/a"), (FLOOR, "1"), (1.0, "2"))
    assert alpha.labels == {0: "n/a", 1: "1", 2: "2"}


def test_many_numbers_are_not_all_written() -> None:
    records = [trial(n, {"lr": 0.1 + n / 100}, n / 100) for n in range(20)]
    lr, _ = parallel_axes(records, [VOLUME])
    assert [text for _, text in lr.ticks] == ["0.1", "0.195", "0.29"]
    assert not lr.discrete
