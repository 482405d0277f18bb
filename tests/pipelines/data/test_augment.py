from collections import Counter

import numpy as np

from pipelines.data.augment import Augment

PHOTO = np.arange(30 * 40 * 3, dtype=np.int64).astype(np.uint8).reshape(30, 40, 3)


def test_the_same_seed_gives_the_same_patch_whatever_came_before() -> None:
    augment = Augment(8)
    first = augment(PHOTO, seed=5)
    augment(PHOTO, seed=6)
    assert np.array_equal(augment(PHOTO, seed=5), first)
    assert np.array_equal(Augment(8)(PHOTO, seed=5), first)
    assert not np.array_equal(augment(PHOTO, seed=5 + 2**62), first)
    assert first.shape == (8, 8, 3)


def test_all_eight_orientations_come_up() -> None:
    augment = Augment(2)
    square = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    seen = {augment(square, seed=seed).tobytes() for seed in range(100)}
    assert len(seen) == 8


def test_crops_reach_every_corner() -> None:
    augment = Augment(20)
    position = np.zeros((30, 40, 3), dtype=np.uint8)
    position[..., 0] = np.arange(30)[:, None]
    position[..., 1] = np.arange(40)
    patches = [augment(position, seed=seed) for seed in range(400)]
    assert {int(patch[..., 0].min()) for patch in patches} == set(range(11))
    assert {int(patch[..., 1].min()) for patch in patches} == set(range(21))


def test_where_a_crop_lies_says_nothing_of_how_it_is_turned() -> None:
    augment = Augment(2)
    position = np.zeros((41, 2, 3), dtype=np.uint8)
    position[..., 0] = np.arange(41)[:, None]
    position[:, 1, 1] = 1
    seen = Counter[tuple[bool, bytes]]()
    for seed in range(1600):
        patch = augment(position, seed).astype(int)
        top = patch[..., 0].min()
        patch[..., 0] -= top
        seen[top < 20, patch.tobytes()] += 1
    assert len(seen) == 16
    assert min(seen.values()) > 60  # of 100 expected
