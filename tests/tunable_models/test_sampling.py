import pytest
import torch

from tunable_models import ControlSpace, Dirichlet, OmegaError, Sampler, Uniform

BOX, SIMPLEX = ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b", "c")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("space", [BOX, SIMPLEX])
@pytest.mark.parametrize("make", [Uniform, lambda s: Dirichlet(s, 0.2), lambda s: Dirichlet(s, 5.0)])
def test_draws_lie_in_the_space_and_repeat(space: ControlSpace, make: type[Uniform]) -> None:
    sampler: Sampler = make(space)
    draws = sampler(200, generator())
    space.check(draws)
    assert torch.equal(draws, sampler(200, generator()))


def test_moments_on_the_box_are_those_of_beta() -> None:
    for alpha, sampler in ((1.0, Uniform(BOX)), (0.5, Dirichlet(BOX, 0.5)), (4.0, Dirichlet(BOX, 4.0))):
        draws = sampler(20_000, generator())
        assert draws.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)
        assert draws.var(0).tolist() == pytest.approx([1 / (4 * (2 * alpha + 1))] * 2, rel=0.05)
        assert torch.corrcoef(draws.T)[0, 1].abs() < 0.03


def test_moments_on_the_simplex_are_those_of_dirichlet() -> None:
    alpha, count = 0.5, len(SIMPLEX)
    draws = Dirichlet(SIMPLEX, alpha)(20_000, generator())
    variance = (count - 1) / (count**2 * (count * alpha + 1))
    assert draws.var(0).tolist() == pytest.approx([variance] * count, rel=0.05)


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), 1e9])
def test_impossible_concentrations_are_refused(alpha: float) -> None:
    with pytest.raises(OmegaError, match="between"):
        Dirichlet(BOX, alpha)
