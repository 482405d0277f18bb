import pytest

from pipelines.core.errors import TrainingError
from pipelines.search.results.configurations import configurations
from pipelines.search.results.ranking import best, front, ranked
from pipelines.search.trial_record import TrialRecord
from search_trials import GAP, VOLUME, trial


def scored(*pairs: tuple[float, float]) -> list[TrialRecord]:
    return [
        trial(number, {"lr": float(number)}, {VOLUME.name: volume, GAP.name: gap})
        for number, (volume, gap) in enumerate(pairs)
    ]


def test_the_best_is_largest_or_smallest_as_the_objective_says() -> None:
    groups = configurations(scored((0.5, 0.3), (0.7, 0.2), (0.6, 0.1)))
    assert [c.number for c in ranked(groups, [VOLUME])] == [1, 2, 0]
    assert [c.number for c in ranked(groups, [GAP])] == [2, 1, 0]
    assert best(groups, [VOLUME]).number == 1
    assert [c.number for c in front(groups, [VOLUME])] == [1]


def test_a_lucky_seed_is_not_ranked_before_every_seed_has_completed() -> None:
    records = [
        trial(0, {"lr": 0.1}, 0.9, seed=0),
        trial(1, {"lr": 0.1}, 0.1, seed=1, state="pruned"),
        trial(2, {"lr": 0.2}, 0.5, seed=0),
        trial(3, {"lr": 0.2}, 0.6, seed=1),
    ]
    assert [c.number for c in ranked(configurations(records), [VOLUME])] == [1]


def test_the_front_holds_what_nobody_dominates() -> None:
    groups = configurations(scored((0.7, 0.3), (0.6, 0.4), (0.6, 0.2), (0.5, 0.1), (0.6, 0.2), (0.7, 0.35)))
    assert [c.number for c in front(groups, [VOLUME, GAP])] == [0, 2, 3]
    assert best(groups, [VOLUME, GAP]).number == 0
    assert best(groups, [GAP, VOLUME]).number == 3


def test_the_best_of_equals_in_the_first_objective_is_on_the_front() -> None:
    groups = configurations(scored((0.7, 0.3), (0.7, 0.2)))
    assert best(groups, [VOLUME, GAP]).number == 1
    assert [c.number for c in front(groups, [VOLUME, GAP])] == [1]


def test_without_a_completed_trial_the_first_reason_is_told() -> None:
    records = [
        trial(3, {"lr": 0.3}, None, state="failed", reason="later"),
        trial(1, {"lr": 0.2}, None, state="failed", reason="the loss is nan at step 20"),
        trial(0, {"lr": 0.1}, 0.1, state="pruned"),
    ]
    with pytest.raises(TrainingError, match=r"no trial of 3 completed, 2 failed; .*the loss is nan"):
        best(configurations(records), [VOLUME])
    with pytest.raises(TrainingError, match="no trial of 1 completed, and none failed; raise"):
        best(configurations(records[2:]), [VOLUME])


def test_without_a_complete_configuration_the_seeds_are_told() -> None:
    records = [trial(0, {"lr": 0.1}, seed=0), trial(1, {"lr": 0.2}, seed=1)]
    with pytest.raises(TrainingError, match="2 trials completed, but no configuration did with all 2 seeds"):
        best(configurations(records), [VOLUME])


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "no trial was begun, and none failed; raise search.minutes, or run again to go on"),
        (
            [trial(0, {"lr": 0.1}, seed=0)],
            "1 trial completed, but no configuration did with all 3 seeds, .*; raise search.minutes",
        ),
        (
            [trial(0, {"lr": 0.1}, seed=0), trial(1, {"lr": 0.1}, None, seed=1, state="unfinished")],
            "1 trial completed, .* all 3 seeds, and none failed; raise search.minutes, or run again to go on",
        ),
        (
            [trial(n, {"lr": 0.1}, seed=n, state="pruned" if n == 2 else "completed") for n in range(3)],
            "2 trials completed, .* all 3 seeds, and none failed; raise the number of trials, or prune fewer",
        ),
    ],
    ids=["none begun", "seeds to begin", "unfinished", "pruned"],
)
def test_what_helps_depends_on_what_became_of_the_trials(records: list[TrialRecord], said: str) -> None:
    seeds = (0, 1, 2)
    with pytest.raises(TrainingError, match=f"^{said}"):
        best(configurations(records, seeds), [VOLUME], seeds)


def test_an_objective_that_was_not_measured_is_named() -> None:
    groups = configurations([trial(0, {"lr": 0.1}, 0.5)])
    with pytest.raises(TrainingError, match=r"trial 0 has no measure 'specialist_gap_mean'; .*hypervolume"):
        ranked(groups, [VOLUME, GAP])
