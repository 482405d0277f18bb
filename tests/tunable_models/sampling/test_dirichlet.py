"""Dirichlet and uniform omegas against scipy's distribution functions."""

import pytest
import torch
from scipy import stats

from tunable_models import ControlSpace, Dirichlet, OmegaError, Uniform

BOX, SIMPLEX = ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b", "c")


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_sliders_of_a_box_are_independent_beta(alpha: float) -> None:
    draws = Dirichlet(BOX, alpha)(0, 1, range(3000))
    for slider in draws.T:
        assert stats.kstest(slider.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert abs(stats.spearmanr(*draws.T.numpy()).statistic) < 0.05


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_a_simplex_has_the_marginals_and_covariances_of_dirichlet(alpha: float) -> None:
    draws = Dirichlet(SIMPLEX, alpha)(0, 1, range(4000))
    for control in draws.T:
        assert stats.kstest(control.numpy(), stats.beta(alpha, 2 * alpha).cdf).pvalue > 0.01
    wanted = torch.from_numpy(stats.dirichlet([alpha] * 3).cov())
    torch.testing.assert_close(torch.cov(draws.T.double()), wanted, rtol=0.08, atol=0)


@pytest.mark.parametrize("space", [BOX, SIMPLEX])
def test_uniform_is_the_concentration_1(space: ControlSpace) -> None:
    assert torch.equal(Uniform(space)(0, 1, range(9)), Dirichlet(space, 1.0)(0, 1, range(9)))


def test_draws_over_steps_are_as_good_as_draws_over_indices() -> None:
    draws = torch.cat([Uniform(BOX)(0, step, [0]) for step in range(2000)])
    assert stats.kstest(draws[:, 0].numpy(), "uniform").pvalue > 0.01
    assert abs(stats.pearsonr(draws[1:, 0], draws[:-1, 0]).statistic) < 0.06


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), 1e9])
def test_impossible_concentrations_are_refused(alpha: float) -> None:
    with pytest.raises(OmegaError, match=r"between 0.01 and 100") as caught:
        Dirichlet(BOX, alpha)
    assert repr(alpha) in str(caught.value)
