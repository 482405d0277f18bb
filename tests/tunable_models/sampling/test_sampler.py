"""What holds for every family on every space."""

from collections.abc import Callable

import pytest
import torch

from tunable_models import (
    Beta,
    ControlSpace,
    Corners,
    Dirichlet,
    Fixed,
    OmegaError,
    Sampler,
    Schedule,
    Sobol,
    TruncatedNormal,
    Uniform,
)

PER_STEP = 64
SPACES = [
    ControlSpace.box("a"),
    ControlSpace.box("a", "b"),
    ControlSpace.box("a", "b", "c"),
    ControlSpace.simplex("a", "b"),
    ControlSpace.simplex("a", "b", "c"),
]
FAMILIES: dict[str, Callable[[ControlSpace], Sampler]] = {
    "uniform": Uniform,
    "dirichlet": lambda space: Dirichlet(space, 0.2),
    "dirichlet, extreme": lambda space: Dirichlet(space, 0.01),
    "beta": lambda space: Beta(space, 0.5, 2.0),
    "truncated normal": lambda space: TruncatedNormal(space, std=0.3),
    "truncated normal, wide": lambda space: TruncatedNormal(space, std=5.0),
    "truncated normal, at a vertex": lambda space: TruncatedNormal(space, space.vertices[0], std=0.1),
    "corners": lambda space: Corners(space, 0.3, Uniform(space)),
    "sobol": lambda space: Sobol(space, PER_STEP),
    "schedule": lambda space: Schedule(space, 5, PER_STEP),
    "fixed": lambda space: Fixed(space, torch.tensor(space.vertices[0])),
}
every_family = pytest.mark.parametrize("family", FAMILIES)
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda s: f"{s.kind}{len(s)}")


@every_space
@every_family
def test_omegas_lie_in_the_space(family: str, space: ControlSpace) -> None:
    omega = FAMILIES[family](space)(3, 7, range(PER_STEP))
    assert omega.shape == (PER_STEP, len(space))
    assert (omega.dtype, omega.device) == (torch.float32, torch.device("cpu"))
    space.check(omega)
    assert (len(omega.unique(dim=0)) > 1) == (family != "fixed")


@every_space
@every_family
def test_a_row_depends_on_its_own_index_alone(family: str, space: ControlSpace) -> None:
    sampler = FAMILIES[family](space)
    whole = sampler(3, 7, range(PER_STEP))
    chosen = [40, 5, 5, 63, 0]
    again = FAMILIES[family](space)
    again(4, 9, [1, 2])
    assert torch.equal(again(3, 7, chosen), whole[chosen])
    shares = [again(3, 7, range(rank * 16, rank * 16 + 16)) for rank in range(4)]
    assert torch.equal(torch.cat(shares), whole)
    assert again(3, 7, []).shape == (0, len(space))


@every_space
@every_family
def test_steps_and_seeds_differ(family: str, space: ControlSpace) -> None:
    sampler = FAMILIES[family](space)
    omega = sampler(3, 7, range(PER_STEP))
    assert torch.equal(sampler(3, 8, range(PER_STEP)), omega) <= (family in ("schedule", "fixed"))
    assert torch.equal(sampler(4, 7, range(PER_STEP)), omega) == (family in ("schedule", "fixed"))


@every_family
def test_the_global_generator_is_left_alone(family: str) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    FAMILIES[family](SPACES[-1])(11, 12, range(3))
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("index", [-1, PER_STEP])
@pytest.mark.parametrize("family", ["sobol", "schedule"])
def test_an_index_that_a_step_does_not_have_is_refused(family: str, index: int) -> None:
    with pytest.raises(OmegaError, match=f"{PER_STEP} omegas a step"):
        FAMILIES[family](SPACES[0])(0, 0, [0, index])


@every_family
def test_a_negative_step_is_refused(family: str) -> None:
    with pytest.raises(OmegaError, match="counted from 0, got -1"):
        FAMILIES[family](SPACES[0])(0, -1, [0])


@every_space
@every_family
def test_a_sampler_says_of_which_space_it_is(family: str, space: ControlSpace) -> None:
    assert FAMILIES[family](space).space == space
