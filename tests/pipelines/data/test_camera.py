import numpy as np
import pytest

from pipelines.data.camera import jpeg, sensor_noise

GREY = np.full((96, 96, 3), 128, dtype=np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("sigma", [5.0, 15.0, 30.0])
def test_noise_at_mid_grey_is_as_strong_as_asked(sigma: float) -> None:
    noisy = sensor_noise(GREY, sigma, seed=1).astype(float)
    assert (noisy - 128).std() == pytest.approx(sigma, rel=0.1)
    assert noisy.mean() == pytest.approx(128, abs=2.5)


def test_noise_depends_on_the_seed_alone() -> None:
    first = sensor_noise(GREY, 10.0, seed=1)
    sensor_noise(GREY, 10.0, seed=2)
    assert np.array_equal(sensor_noise(GREY, 10.0, seed=1), first)
    assert not np.array_equal(sensor_noise(GREY, 10.0, seed=2), first)


def test_no_noise_is_no_change() -> None:
    assert np.array_equal(sensor_noise(NOISE, 0.0, seed=1), NOISE)


def test_dark_parts_are_noisier_than_bright_ones() -> None:
    """Gamma spreads the dark tones, where fewer photons are counted."""
    dark, bright = (sensor_noise(np.full_like(GREY, v), 10.0, seed=1).astype(float).std() for v in (60, 200))
    assert dark > 1.03 * bright


def test_worse_jpeg_is_further_away_and_always_the_same() -> None:
    errors = [np.abs(jpeg(NOISE, quality).astype(int) - NOISE).mean() for quality in (95, 50, 10)]
    assert errors == sorted(errors)
    assert np.array_equal(jpeg(NOISE, 30), jpeg(NOISE, 30))
    assert jpeg(NOISE, 30).shape == NOISE.shape
