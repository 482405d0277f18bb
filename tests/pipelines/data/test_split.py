from typing import Any

import numpy as np
import pytest

from pipelines.core.errors import DataError
from pipelines.data.sources import SKIMAGE, SKIMAGE_PHOTOS, decode_photo, list_photos
from pipelines.data.split import find_leaks, group_duplicates, hold_out, perceptual_hash

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
    with pytest.raises(DataError, match=r"'c\.jpg'.*'c\.png'"):
        hold_out(NAMES, ALONE, ["c.jpg"], 0)


def test_a_number_that_would_split_a_group_is_an_error() -> None:
    with pytest.raises(DataError, match="3 of 8"):
        hold_out(NAMES, PAIRS, 3, 0)


@pytest.mark.parametrize("wanted", [8, NAMES])
def test_nothing_left_to_train_on_is_an_error(wanted: int | list[str]) -> None:
    with pytest.raises(DataError, match="all 8"):
        hold_out(NAMES, ALONE, wanted, 0)


def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match=r"prepare\.test_photos"):
        hold_out(NAMES, ALONE, 9, 0)


def test_one_photograph_is_an_error() -> None:
    with pytest.raises(DataError, match="got 1"):
        hold_out(["a"], [[0]], 1, 0)


def test_some_may_be_held_out_already() -> None:
    free = ALONE[3:]
    assert hold_out(NAMES, free, 2, 0).issubset(range(3, 8))
    with pytest.raises(DataError, match=r"'a\.png'"):
        hold_out(NAMES, free, ["a.png"], 0, "prepare.validation_photos")
    with pytest.raises(DataError, match=r"prepare\.validation_photos"):
        hold_out(NAMES, free, 5, 0, "prepare.validation_photos")


def test_equal_or_near_hashes_are_one_group() -> None:
    assert group_duplicates([0b0000, 0xFF00, 0b0001, 0b0000], 1) == [[0, 2, 3], [1]]


def test_distance_zero_groups_equal_hashes_only() -> None:
    assert group_duplicates([5, 4, 5], 0) == [[0, 2], [1]]


def test_a_chain_is_one_group() -> None:
    assert group_duplicates([0b0000, 0b1111, 0b0011, 0xFFFF << 40], 2) == [[0, 1, 2], [3]]


def test_all_64_bits_count() -> None:
    assert group_duplicates([0, 1 << 63], 0) == [[0], [1]]
    assert group_duplicates([0, 2**64 - 1], 63) == [[0], [1]]


def test_groups_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    hashes = [int(h) for h in rng.integers(0, 2**12, 60)]
    found = group_duplicates(hashes, 2)
    assert sorted(i for members in found for i in members) == list(range(60))
    of = {i: which for which, members in enumerate(found) for i in members}
    for i in range(60):
        for j in range(i):
            assert of[i] == of[j] or (hashes[i] ^ hashes[j]).bit_count() > 2


def test_no_hashes_no_groups() -> None:
    assert group_duplicates([], 8) == []


def test_copies_of_one_picture_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[int]()
    bitwise_count = np.bitwise_count

    def count_compared(bits: Any) -> Any:
        compared.append(bits.size)
        return bitwise_count(bits)

    monkeypatch.setattr(np, "bitwise_count", count_compared)
    hashes = [int(h) for h in np.random.default_rng(1).integers(0, 2**63, 10)] * 1000
    assert len(group_duplicates(hashes, 8)) == 10
    assert sum(compared) == 10 * 9 / 2  # not the square of 10 000


def test_a_leak_is_found_through_a_chain() -> None:
    assert find_leaks([0b0011, 0xFF, 0b1111], [0xFF00, 0b0001], 2) == {0: 1, 2: 1}
    assert find_leaks([1], [0xFF00], 2) == {}


def test_a_changed_copy_hashes_near(paint: Any) -> None:
    original, other = paint(0, 96, 128), paint(1, 96, 128)
    darker = (original * 0.8).astype(np.uint8)
    smaller = paint(0, 48, 64)
    moved = original[:, 1:]
    hashes = [perceptual_hash(rgb) for rgb in (original, darker, smaller, moved, other)]
    assert group_duplicates(hashes, 8) == [[0, 1, 2, 3], [4]]


def test_the_stereo_pair_of_scikit_image_is_the_only_group() -> None:
    pytest.importorskip("skimage")
    files = list_photos(SKIMAGE, root=None).files  # type: ignore[arg-type]
    groups = group_duplicates([perceptual_hash(decode_photo(file.fetch())) for file in files], 8)
    pair = [i for i, name in enumerate(SKIMAGE_PHOTOS) if name.startswith("motorcycle")]
    assert [members for members in groups if len(members) > 1] == [pair]
