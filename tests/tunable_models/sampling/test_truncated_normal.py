"""Truncated normal omegas against scipy, and against the density integrated numerically."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from tunable_models import ControlSpace, OmegaError, TruncatedNormal

PAIR, TRIPLE = ControlSpace.simplex("x", "y"), ControlSpace.simplex("x", "y", "z")


def truncnorm(mean: float, std: float) -> stats.rv_continuous:
    return stats.truncnorm(-mean / std, (1 - mean) / std, mean, std)


@pytest.mark.parametrize(("means", "std"), [((0.2, 0.7), 0.25), ((0.0, 1.0), 0.05), ((0.5, 0.5), 20.0)])
def test_sliders_of_a_box_are_independent_truncated_normals(means: tuple[float, ...], std: float) -> None:
    draws = TruncatedNormal(ControlSpace.box("x", "y"), means, std)(0, 1, range(3000))
    for slider, mean in zip(draws.T, means, strict=True):
        assert stats.kstest(slider.numpy(), truncnorm(mean, std).cdf).pvalue > 0.01
    assert abs(stats.spearmanr(*draws.T.numpy()).statistic) < 0.05


def test_one_number_is_the_mean_of_every_slider_and_none_the_centre() -> None:
    box = ControlSpace.box("x", "y")
    one, each = TruncatedNormal(box, 0.3), TruncatedNormal(box, [0.3, 0.3])
    assert torch.equal(one(0, 1, range(5)), each(0, 1, range(5)))
    assert TruncatedNormal(box).mean.tolist() == [0.5, 0.5]
    assert TruncatedNormal(TRIPLE).mean.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("std", [0.1, 0.5, 3.0])
def test_two_controls_of_a_simplex_are_a_slider_of_another_scale(std: float) -> None:
    # Moving one control by d moves omega by sqrt(2) d.
    draws = TruncatedNormal(PAIR, (0.3, 0.7), std)(0, 1, range(2000))
    assert stats.kstest(draws[:, 0].numpy(), truncnorm(0.3, std / np.sqrt(2)).cdf).pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("std", [0.15, 0.4, 1.0])
@pytest.mark.parametrize("mean", [(0.6, 0.3, 0.1), (0.0, 1.0, 0.0)])
def test_three_controls_have_the_density_that_is_stated(mean: tuple[float, ...], std: float) -> None:
    draws = TruncatedNormal(TRIPLE, mean, std)(0, 1, range(2000)).numpy()
    x, y = np.meshgrid(*[np.linspace(0, 1, 801)] * 2, indexing="ij")
    squares = (x - mean[0]) ** 2 + (y - mean[1]) ** 2 + (1 - x - y - mean[2]) ** 2
    density = np.where(x + y <= 1, np.exp(-squares / (2 * std**2)), 0)
    for control in (0, 1):
        distribution = integrate.cumulative_trapezoid(density.sum(1 - control), x[:, 0], initial=0)
        distribution /= distribution[-1]
        assert (
            stats.kstest(draws[:, control], lambda v, d=distribution: np.interp(v, x[:, 0], d)).pvalue > 0.01
        )


@pytest.mark.parametrize(
    ("space", "mean", "words"),
    [
        (PAIR, 0.5, "expected 2 numbers"),
        (PAIR, (0.5, 0.6), "sum to 1"),
        (PAIR, (0.2, 0.3, 0.5), "shape"),
        (ControlSpace.box("x"), (), "shape"),
        (ControlSpace.box("x"), 1.5, "between 0 and 1"),
        (ControlSpace.box("x"), float("nan"), "between 0 and 1"),
    ],
)
def test_a_mean_that_is_no_omega_is_refused(
    space: ControlSpace, mean: float | Sequence[float], words: str
) -> None:
    with pytest.raises(OmegaError, match=words):
        TruncatedNormal(space, mean)


@pytest.mark.parametrize("std", [0, -1.0, float("nan"), 1000])
def test_an_impossible_std_is_refused(std: float) -> None:
    with pytest.raises(OmegaError, match=r"std must be between 0.001 and 100"):
        TruncatedNormal(PAIR, std=std)


def test_a_corner_that_is_too_narrow_to_hit_is_refused() -> None:
    many = ControlSpace.simplex(*"abcdefghij")
    with pytest.raises(OmegaError, match="hardly ever"):
        TruncatedNormal(many, many.vertices[0], std=0.02)
