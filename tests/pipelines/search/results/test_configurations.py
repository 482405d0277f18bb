import pytest

from pipelines.core.errors import TrainingError
from pipelines.search.axes import Point
from pipelines.search.results.configurations import (
    find_front,
    group_trials,
    list_axes,
    list_measures,
    parent_axis,
    pick_best,
    rank_configurations,
    varying_axes,
)
from pipelines.search.trial import TrialRecord
from search_trials import GAP, VOLUME, trial

AXES = ("distribution", "dirichlet.alpha", "group", "scale.keep_scale")
POINTS: list[Point] = [
    {"distribution": "uniform", "group": 1, "scale.keep_scale": 2.0},
    {"distribution": "dirichlet", "dirichlet.alpha": 0.1, "group": "batch", "scale.keep_scale": 2.0},
    {"distribution": "dirichlet", "dirichlet.alpha": 0.5, "group": 1, "scale.keep_scale": 2.0},
]


def test_equal_points_are_one_configuration_whatever_the_order_of_their_axes() -> None:
    records = [
        trial(1, {"lr": 0.1, "basis": "delta"}),
        trial(0, {"lr": 1.0}),
        trial(2, {"basis": "delta", "lr": 0.1}, seed=1),
    ]
    found = group_trials(records)
    assert [(c.number, [t.number for t in c.trials]) for c in found] == [(0, [0]), (1, [1, 2])]
    assert [c.complete for c in found] == [False, True]


def test_a_null_is_not_a_missing_axis() -> None:
    assert len(group_trials([trial(0, {"rank": None}), trial(1, {})])) == 2


def test_only_completed_trials_count() -> None:
    point = {"lr": 0.1}
    records = [
        trial(0, point, 1.0, seed=0),
        trial(1, point, 2.0, seed=1),
        trial(2, point, 9.0, seed=2, state="pruned"),
        trial(3, point, None, seed=2, state="failed"),
    ]
    (only,) = group_trials(records)
    assert only.mean("hypervolume") == 1.5
    assert only.deviation("hypervolume") == pytest.approx(0.5**0.5)
    assert only.mean("violations") is None
    assert not only.complete


def test_one_seed_has_no_deviation() -> None:
    (only,) = group_trials([trial(0, {"lr": 0.1}, 1.0)])
    assert only.deviation("hypervolume") is None
    assert only.complete


def test_an_axis_of_some_trials_follows_its_neighbor() -> None:
    records = [
        trial(0, {"distribution": "uniform", "lr": 0.1}),
        trial(1, {"distribution": "dirichlet", "dirichlet.alpha": 0.5, "lr": 0.1}, {"b": 1.0, "a": 1.0}),
    ]
    assert list_axes(records) == ("distribution", "dirichlet.alpha", "lr")
    assert list_measures(records[1:]) == ("b", "a")


def test_an_option_belongs_to_the_axis_that_has_its_family() -> None:
    assert parent_axis("dirichlet.alpha", POINTS, AXES) == "distribution"
    assert parent_axis("scale.keep_scale", POINTS, AXES) is None
    assert parent_axis("group", POINTS, AXES) is None


def test_a_constant_does_not_vary_nor_an_option_that_is_constant_where_it_applies() -> None:
    assert varying_axes(POINTS, AXES) == ("distribution", "dirichlet.alpha", "group")
    assert varying_axes(POINTS[:2], AXES) == ("distribution", "group")
    assert varying_axes([{"lr": 0.1}, {}], ("lr",)) == ("lr",)


def scored(*pairs: tuple[float, float]) -> list[TrialRecord]:
    return [
        trial(number, {"lr": float(number)}, {VOLUME.name: volume, GAP.name: gap})
        for number, (volume, gap) in enumerate(pairs)
    ]


def test_the_best_is_largest_or_smallest_as_the_objective_says() -> None:
    groups = group_trials(scored((0.5, 0.3), (0.7, 0.2), (0.6, 0.1)))
    assert [c.number for c in rank_configurations(groups, [VOLUME])] == [1, 2, 0]
    assert [c.number for c in rank_configurations(groups, [GAP])] == [2, 1, 0]
    assert pick_best(groups, [VOLUME]).number == 1
    assert [c.number for c in find_front(groups, [VOLUME])] == [1]


def test_a_lucky_seed_is_not_ranked_before_every_seed_has_completed() -> None:
    records = [
        trial(0, {"lr": 0.1}, 0.9, seed=0),
        trial(1, {"lr": 0.1}, 0.1, seed=1, state="pruned"),
        trial(2, {"lr": 0.2}, 0.5, seed=0),
        trial(3, {"lr": 0.2}, 0.6, seed=1),
    ]
    assert [c.number for c in rank_configurations(group_trials(records), [VOLUME])] == [1]


def test_the_front_holds_undominated_configurations() -> None:
    groups = group_trials(scored((0.7, 0.3), (0.6, 0.4), (0.6, 0.2), (0.5, 0.1), (0.6, 0.2), (0.7, 0.35)))
    assert [c.number for c in find_front(groups, [VOLUME, GAP])] == [0, 2, 3]
    assert pick_best(groups, [VOLUME, GAP]).number == 0
    assert pick_best(groups, [GAP, VOLUME]).number == 3


def test_the_best_of_equals_in_the_first_objective_is_on_the_front() -> None:
    groups = group_trials(scored((0.7, 0.3), (0.7, 0.2)))
    assert pick_best(groups, [VOLUME, GAP]).number == 1
    assert [c.number for c in find_front(groups, [VOLUME, GAP])] == [1]


def test_without_a_completed_trial_the_first_reason_is_named() -> None:
    records = [
        trial(3, {"lr": 0.3}, None, state="failed", reason="later"),
        trial(1, {"lr": 0.2}, None, state="failed", reason="the loss is nan at step 20"),
        trial(0, {"lr": 0.1}, 0.1, state="pruned"),
    ]
    with pytest.raises(TrainingError, match=r"of 3 completed, 2 failed; .*the loss is nan"):
        pick_best(group_trials(records), [VOLUME])
    with pytest.raises(TrainingError, match=r"of 1 completed, none failed; .*prune"):
        pick_best(group_trials(records[2:]), [VOLUME])


def test_without_a_complete_configuration_the_seeds_are_counted() -> None:
    records = [trial(0, {"lr": 0.1}, seed=0), trial(1, {"lr": 0.2}, seed=1)]
    with pytest.raises(TrainingError, match=r"2 trials completed, .* all 2 seeds"):
        pick_best(group_trials(records), [VOLUME])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "none failed; .*search.minutes"),
        ([trial(0, {"lr": 0.1}, seed=0)], "1 trial completed, .*all 3 seeds, .*search.minutes"),
        (
            [trial(0, {"lr": 0.1}, seed=0), trial(1, {"lr": 0.1}, None, seed=1, state="unfinished")],
            "1 trial completed, .* all 3 seeds, none failed; .*search.minutes",
        ),
        (
            [trial(n, {"lr": 0.1}, seed=n, state="pruned" if n == 2 else "completed") for n in range(3)],
            "2 trials completed, .* all 3 seeds, none failed; .*prune",
        ),
    ],
    ids=["none started", "seeds to start", "unfinished", "pruned"],
)
def test_the_remedy_depends_on_how_the_trials_ended(records: list[TrialRecord], message: str) -> None:
    seeds = (0, 1, 2)
    with pytest.raises(TrainingError, match=message):
        pick_best(group_trials(records, seeds), [VOLUME], seeds)


def test_an_objective_that_was_not_measured_is_named() -> None:
    groups = group_trials([trial(0, {"lr": 0.1}, 0.5)])
    with pytest.raises(TrainingError, match=r"'specialist_gap_mean'.*hypervolume"):
        rank_configurations(groups, [VOLUME, GAP])
