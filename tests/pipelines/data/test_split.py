import pytest

from pipelines.core.errors import DataError
from pipelines.data.split import hold_out

NAMES = [f"{letter}.png" for letter in "abcdefgh"]
ALONE = [[i] for i in range(8)]
PAIRS = [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_number_holds_out_that_many(count: int) -> None:
    assert len(hold_out(NAMES, ALONE, count, seed=0)) == count


def test_the_seed_decides() -> None:
    draws = [frozenset(hold_out(NAMES, ALONE, 2, seed)) for seed in range(20)]
    assert draws == [frozenset(hold_out(NAMES, ALONE, 2, seed)) for seed in range(20)]
    assert len(set(draws)) > 5


def test_a_newcomer_replaces_at_most_one() -> None:
    for seed in range(20):
        before = hold_out(NAMES, ALONE, 3, seed)
        after = hold_out([*NAMES, "z.png"], [*ALONE, [8]], 3, seed)
        assert len(before - after) <= 1


def test_groups_stay_together() -> None:
    for seed in range(20):
        held = hold_out(NAMES, PAIRS, 4, seed)
        assert len(held) == 4
        assert all(held.issuperset(pair) or held.isdisjoint(pair) for pair in PAIRS)


def test_a_name_takes_its_group_along() -> None:
    assert hold_out(NAMES, [[0, 5], *[[i] for i in (1, 2, 3, 4, 6, 7)]], ["f.png"], 0) == {0, 5}


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"'c.jpg'.*'c.png'"):
        hold_out(NAMES, ALONE, ["c.jpg"], 0)


def test_a_number_that_would_split_a_group_is_an_error() -> None:
    with pytest.raises(DataError, match=r"expected to hold out .*3 of 8.*got 2"):
        hold_out(NAMES, PAIRS, 3, 0)


@pytest.mark.parametrize("wanted", [8, NAMES])
def test_nothing_left_to_train_on_is_an_error(wanted: int | list[str]) -> None:
    with pytest.raises(DataError, match="all 8 held out"):
        hold_out(NAMES, ALONE, wanted, 0)


def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match=r"prepare.test_photos = 9 of 8"):
        hold_out(NAMES, ALONE, 9, 0)


def test_one_photograph_is_an_error() -> None:
    with pytest.raises(DataError, match=r"at least two photographs.*got 1"):
        hold_out(["a"], [[0]], 1, 0)


def test_some_may_be_held_out_already() -> None:
    free = ALONE[3:]
    assert hold_out(NAMES, free, 2, 0).issubset(range(3, 8))
    with pytest.raises(DataError, match=r"validation_photos, got 'a.png', which is held out already"):
        hold_out(NAMES, free, ["a.png"], 0, "prepare.validation_photos")
    with pytest.raises(DataError, match=r"all 5 held out by prepare.validation_photos"):
        hold_out(NAMES, free, 5, 0, "prepare.validation_photos")
