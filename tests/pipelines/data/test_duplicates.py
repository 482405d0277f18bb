from typing import Any

import numpy as np
import pytest

from pipelines.data.duplicates import group, leaks, perceptual_hash
from pipelines.data.sources import SKIMAGE, SKIMAGE_PHOTOS, decode, list_photos


def test_equal_or_near_hashes_are_one_group() -> None:
    assert group([0b0000, 0xFF00, 0b0001, 0b0000], 1) == [[0, 2, 3], [1]]


def test_distance_zero_groups_equal_hashes_only() -> None:
    assert group([5, 4, 5], 0) == [[0, 2], [1]]


def test_a_chain_is_one_group() -> None:
    assert group([0b0000, 0b1111, 0b0011, 0xFFFF << 40], 2) == [[0, 1, 2], [3]]


def test_all_64_bits_count() -> None:
    assert group([0, 1 << 63], 0) == [[0], [1]]
    assert group([0, 2**64 - 1], 63) == [[0], [1]]


def test_groups_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    hashes = [int(h) for h in rng.integers(0, 2**12, 60)]
    found = group(hashes, 2)
    assert sorted(i for members in found for i in members) == list(range(60))
    of = {i: which for which, members in enumerate(found) for i in members}
    for i in range(60):
        for j in range(i):
            assert of[i] == of[j] or (hashes[i] ^ hashes[j]).bit_count() > 2


def test_no_hashes_no_groups() -> None:
    assert group([], 8) == []


def test_copies_of_one_picture_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[int]()
    bitwise_count = np.bitwise_count

    def count_compared(bits: Any) -> Any:
        compared.append(bits.size)
        return bitwise_count(bits)

    monkeypatch.setattr(np, "bitwise_count", count_compared)
    hashes = [int(h) for h in np.random.default_rng(1).integers(0, 2**63, 10)] * 1000
    assert len(group(hashes, 8)) == 10
    assert sum(compared) == 10 * 9 / 2  # not the square of 10 000


def test_a_leak_is_found_through_a_chain() -> None:
    assert leaks([0b0011, 0xFF, 0b1111], [0xFF00, 0b0001], 2) == {0: 1, 2: 1}
    assert leaks([1], [0xFF00], 2) == {}


def test_a_changed_copy_hashes_near(paint: Any) -> None:
    original, other = paint(0, 96, 128), paint(1, 96, 128)
    darker = (original * 0.8).astype(np.uint8)
    smaller = paint(0, 48, 64)
    moved = original[:, 1:]
    hashes = [perceptual_hash(rgb) for rgb in (original, darker, smaller, moved, other)]
    assert group(hashes, 8) == [[0, 1, 2, 3], [4]]


def test_the_stereo_pair_of_scikit_image_is_the_only_group() -> None:
    pytest.importorskip("skimage")
    files = list_photos(SKIMAGE, root=None).files  # type: ignore[arg-type]
    groups = group([perceptual_hash(decode(file.content())) for file in files], 8)
    pair = [i for i, name in enumerate(SKIMAGE_PHOTOS) if name.startswith("motorcycle")]
    assert [members for members in groups if len(members) > 1] == [pair]
