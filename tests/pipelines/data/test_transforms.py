import ast
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipelines.data.transforms import Augment, Seeded, add_sensor_noise, compress_jpeg, import_albumentations

PACKAGE = Path(__file__).parents[3] / "pipelines"
PICTURE = np.arange(30 * 40 * 3, dtype=np.int64).astype(np.uint8).reshape(30, 40, 3)


def test_draws_depend_on_the_seed_alone() -> None:
    chain = Seeded([import_albumentations().RandomCrop(8, 8)])
    first = chain(PICTURE, seed=5)
    chain(PICTURE, seed=6)
    assert np.array_equal(chain(PICTURE, seed=5), first)
    assert not np.array_equal(chain(PICTURE, seed=6), first)


def test_no_other_module_imports_the_library() -> None:
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name == "albumentations" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "albumentations")
    }
    assert importing == {"data/transforms.py"}


def test_the_same_seed_gives_the_same_patch_whatever_came_before() -> None:
    augment = Augment(8)
    first = augment(PICTURE, seed=5)
    augment(PICTURE, seed=6)
    assert np.array_equal(augment(PICTURE, seed=5), first)
    assert np.array_equal(Augment(8)(PICTURE, seed=5), first)
    assert not np.array_equal(augment(PICTURE, seed=5 + 2**62), first)
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


GRAY = np.full((96, 96, 3), 128, dtype=np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("sigma", [5.0, 15.0, 30.0])
def test_noise_at_mid_grey_is_as_strong_as_asked(sigma: float) -> None:
    noisy = add_sensor_noise(GRAY, sigma, seed=1).astype(float)
    assert (noisy - 128).std() == pytest.approx(sigma, rel=0.1)
    assert noisy.mean() == pytest.approx(128, abs=2.5)


def test_noise_depends_on_the_seed_alone() -> None:
    first = add_sensor_noise(GRAY, 10.0, seed=1)
    add_sensor_noise(GRAY, 10.0, seed=2)
    assert np.array_equal(add_sensor_noise(GRAY, 10.0, seed=1), first)
    assert not np.array_equal(add_sensor_noise(GRAY, 10.0, seed=2), first)


def test_no_noise_is_no_change() -> None:
    assert np.array_equal(add_sensor_noise(NOISE, 0.0, seed=1), NOISE)


def test_dark_parts_are_noisier_than_bright_ones() -> None:
    """Gamma spreads the dark tones, where fewer photons are counted."""
    pictures = [np.full_like(GRAY, value) for value in (60, 200)]
    dark, bright = (add_sensor_noise(p, 10.0, seed=1).astype(float).std() for p in pictures)
    assert dark > 1.03 * bright


def test_worse_jpeg_is_further_away_and_always_the_same() -> None:
    errors = [np.abs(compress_jpeg(NOISE, quality).astype(int) - NOISE).mean() for quality in (95, 50, 10)]
    assert errors == sorted(errors)
    assert np.array_equal(compress_jpeg(NOISE, 30), compress_jpeg(NOISE, 30))
    assert compress_jpeg(NOISE, 30).shape == NOISE.shape
