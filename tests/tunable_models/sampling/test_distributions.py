from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from tunable_models import Beta, ControlSpace, Dirichlet, OmegaError, TruncatedNormal, Uniform

BOX, SIMPLEX = ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b", "c")


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_sliders_of_a_box_are_independent_beta_of_dirichlet(alpha: float) -> None:
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


@pytest.mark.parametrize(("a", "b"), [(0.5, 1.0), (2.0, 5.0), (1.0, 1.0)])
def test_sliders_of_a_box_are_independent_beta_of_beta(a: float, b: float) -> None:
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
