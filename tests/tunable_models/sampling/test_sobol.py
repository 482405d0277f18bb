"""Sobol omegas: torch's own walk through the sequence, and scipy's discrepancy."""

import pytest
import torch
from scipy import stats
from scipy.stats import qmc
from torch.quasirandom import SobolEngine

from tunable_models import ControlSpace, OmegaError, Sobol, Uniform
from tunable_models.sampling.sampler import keyed_generator
from tunable_models.sampling.sobol import _sobol_points, map_to_simplex

COUNT = 256


def engine(seed: int, dimension: int) -> SobolEngine:
    return SobolEngine(
        dimension, scramble=True, seed=keyed_generator(seed, 0, dimension, "sobol").initial_seed()
    )


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_points_by_number_are_those_of_the_engine(dimension: int) -> None:
    walk = engine(4, dimension).draw(5000, dtype=torch.float64)
    # The engine computes in single precision.
    torch.testing.assert_close(_sobol_points(4, dimension, range(5000)), walk, rtol=0, atol=1e-7)
    far = engine(4, dimension).fast_forward(70_000).draw(3, dtype=torch.float64)
    torch.testing.assert_close(_sobol_points(4, dimension, range(70_000, 70_003)), far, rtol=0, atol=1e-7)


def test_the_sequence_begins_anew_after_its_end() -> None:
    assert torch.equal(_sobol_points(0, 2, [2**30 + 5, 5]), _sobol_points(0, 2, [5, 2**30 + 5]))


@pytest.mark.parametrize("controls", ["a", "ab", "abc"])
@pytest.mark.parametrize("per_step", [4, 16])
def test_a_box_is_covered_better_than_at_random(controls: str, per_step: int) -> None:
    space = ControlSpace.box(*controls)
    steps = range(COUNT // per_step)
    sobol, uniform = (
        qmc.discrepancy(torch.cat([sampler(1, step, range(per_step)) for step in steps]).double().numpy())
        for sampler in (Sobol(space, per_step), Uniform(space))
    )
    assert sobol < uniform / 5


@pytest.mark.parametrize("controls", ["ab", "abc", "abcd"])
def test_a_simplex_is_covered_better_than_at_random(controls: str) -> None:
    space = ControlSpace.simplex(*controls)
    # Back to the cube by the distribution functions of the shares, so that discrepancy has its usual meaning.
    sobol, uniform = (
        qmc.discrepancy(shares(sampler(1, 0, range(COUNT)).double()))
        for sampler in (Sobol(space, COUNT), Uniform(space))
    )
    assert sobol < uniform / 5


def shares(omega: torch.Tensor) -> torch.Tensor:
    """Each control's share of what is left, through the Beta(1, k) that a uniform omega gives it."""
    count = omega.shape[1]
    left = 1 - torch.cat([torch.zeros_like(omega[:, :1]), omega[:, :-2].cumsum(1)], dim=1)
    share = (omega[:, :-1] / left).clamp(0, 1).numpy()
    return stats.beta(1, torch.arange(count - 1, 0, -1).numpy()).cdf(share)


def test_the_map_onto_the_simplex_is_invertible_and_uniform() -> None:
    points = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    omega = map_to_simplex(points)
    torch.testing.assert_close(torch.from_numpy(shares(omega)), points)
    for control in omega.T:
        assert stats.kstest(control.numpy(), stats.beta(1, 2).cdf).pvalue > 0.01
    share = omega[:, 0] / (omega[:, 0] + omega[:, 2])
    assert stats.kstest(share.numpy(), "uniform").pvalue > 0.01


def test_every_step_covers_the_space() -> None:
    sampler = Sobol(ControlSpace.box("a", "b"), per_step=16)
    for step in range(5):
        cells = sampler(2, step, range(16)).mul(4).floor()
        assert len(cells.unique(dim=0)) == 16


def test_one_omega_alone_is_uniform() -> None:
    sampler = Sobol(ControlSpace.box("a"), per_step=1)
    draws = torch.cat([sampler(seed, 3, [0]) for seed in range(500)])
    assert stats.kstest(draws[:, 0].numpy(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("per_step", [0, -2])
def test_a_step_without_omegas_is_refused(per_step: int) -> None:
    with pytest.raises(OmegaError, match="at least 1"):
        Sobol(ControlSpace.box("a"), per_step)
