"""Beta omegas against scipy's distribution functions."""

import numpy as np
import pytest
import torch
from scipy import stats

from tunable_models import Beta, ControlSpace, OmegaError


@pytest.mark.parametrize(("a", "b"), [(0.5, 1.0), (2.0, 5.0), (1.0, 1.0)])
def test_sliders_of_a_box_are_independent_beta(a: float, b: float) -> None:
    draws = Beta(ControlSpace.box("x", "y"), a, b)(0, 1, range(3000))
    for slider in draws.T:
        assert stats.kstest(slider.numpy(), stats.beta(a, b).cdf).pvalue > 0.01
    assert abs(stats.spearmanr(*draws.T.numpy()).statistic) < 0.05


@pytest.mark.parametrize("a", [0.4, 3.0])
def test_two_controls_of_a_simplex_are_one_symmetric_slider(a: float) -> None:
    draws = Beta(ControlSpace.simplex("x", "y"), a, a)(0, 1, range(3000))
    assert stats.kstest(draws[:, 0].numpy(), stats.beta(a, a).cdf).pvalue > 0.01


def test_beta_of_1_and_the_others_is_uniform_over_the_simplex() -> None:
    draws = Beta(ControlSpace.simplex("x", "y", "z"), 1.0, 2.0)(0, 1, range(4000)).double()
    for control in draws.T:
        assert stats.kstest(control.numpy(), stats.beta(1, 2).cdf).pvalue > 0.01
    share = draws[:, 0] / (draws[:, 0] + draws[:, 1])
    assert stats.kstest(share.numpy(), "uniform").pvalue > 0.01
    torch.testing.assert_close(
        torch.cov(draws.T), torch.from_numpy(stats.dirichlet([1] * 3).cov()), rtol=0.08, atol=0
    )


def test_each_control_of_a_simplex_has_the_stated_mixture() -> None:
    a, b = 5.0, 2.0
    draws = Beta(ControlSpace.simplex("x", "y", "z"), a, b)(1, 1, range(4000)).numpy()
    random = np.random.default_rng(0)
    chosen = random.beta(a, b, 100_000)
    other = (1 - random.beta(a, b, 200_000)) * random.random(200_000)
    for control in draws.T:
        assert stats.ks_2samp(control, np.concatenate([chosen, other])).pvalue > 0.01


@pytest.mark.parametrize(("a", "b", "name"), [(0.0, 1.0, "a"), (1.0, float("nan"), "b"), (1.0, 101.0, "b")])
def test_impossible_parameters_are_refused(a: float, b: float, name: str) -> None:
    with pytest.raises(OmegaError, match=rf"Beta's {name} must be between 0.01 and 100"):
        Beta(ControlSpace.box("x"), a, b)
