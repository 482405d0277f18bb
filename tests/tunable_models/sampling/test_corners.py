import pytest
import torch
from scipy import stats

from tunable_models import ControlSpace, Corners, Dirichlet, OmegaError, Schedule, Sobol, Uniform

SPACES = [ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b", "c")]
COUNT = 2000


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("weight", [0.1, 0.6])
def test_vertices_have_their_share_and_the_rest_is_the_inner_familys(
    space: ControlSpace, weight: float
) -> None:
    inner = Dirichlet(space, 2.0)
    draws, others = Corners(space, weight, inner)(0, 1, range(COUNT)), inner(0, 1, range(COUNT))
    at_vertex = (draws == draws.round()).all(1)
    assert torch.equal(draws[~at_vertex], others[~at_vertex])
    counts = [int((draws[at_vertex] == torch.tensor(vertex)).all(1).sum()) for vertex in space.vertices]
    assert sum(counts) == at_vertex.sum()
    assert stats.binomtest(sum(counts), COUNT, weight).pvalue > 0.01
    assert stats.chisquare(counts).pvalue > 0.01


def test_where_a_vertex_falls_does_not_depend_on_the_inner_omega() -> None:
    space, inner = SPACES[0], Uniform(SPACES[0])
    draws = Corners(space, 0.5, inner)(0, 1, range(COUNT))
    kept = ~(draws == draws.round()).all(1)
    assert stats.kstest(draws[kept][:, 0].numpy(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("space", SPACES)
def test_the_ends_of_the_weight(space: ControlSpace) -> None:
    inner = Uniform(space)
    assert torch.equal(Corners(space, 0.0, inner)(0, 1, range(50)), inner(0, 1, range(50)))
    draws = Corners(space, 1.0, inner)(0, 1, range(50))
    assert torch.equal(draws, draws.round())


@pytest.mark.parametrize("make", [Sobol, lambda space, per_step: Schedule(space, 3, per_step)])
def test_the_inner_sampler_is_not_changed(make: type[Sobol]) -> None:
    inner = make(SPACES[0], per_step=20)
    before = inner(0, 1, range(20)).clone()
    Corners(SPACES[0], 0.9, inner)(0, 1, range(20))
    assert torch.equal(inner(0, 1, range(20)), before)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_an_impossible_weight_is_refused(weight: float) -> None:
    with pytest.raises(OmegaError, match="weight must be between 0 and 1"):
        Corners(SPACES[0], weight, Uniform(SPACES[0]))


def test_a_mixture_of_mixtures_is_refused() -> None:
    space = SPACES[0]
    with pytest.raises(OmegaError, match="single one"):
        Corners(space, 0.5, Corners(space, 0.5, Uniform(space)))


@pytest.mark.parametrize(
    "other", [ControlSpace.box("a"), ControlSpace.simplex("a", "b"), ControlSpace.box("b", "a")]
)
def test_an_inner_of_another_space_is_refused(other: ControlSpace) -> None:
    with pytest.raises(OmegaError, match=f"the box of a, b, got the {other.kind}"):
        Corners(SPACES[0], 0.5, Uniform(other))
