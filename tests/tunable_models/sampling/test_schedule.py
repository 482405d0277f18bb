import math

import pytest
import torch
from scipy.stats import qmc
from torch import Tensor

from tunable_models import ControlSpace, Fixed, OmegaError, Schedule

BOX, SIMPLEX = ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b", "c")


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (ControlSpace.box("a"), 6),
        (BOX, 36),
        (ControlSpace.box("a", "b", "c"), 216),
        (ControlSpace.simplex("a", "b"), 6),
        (SIMPLEX, math.comb(7, 2)),
        (ControlSpace.simplex("a", "b", "c", "d"), math.comb(8, 3)),
    ],
)
def test_each_point_is_visited_once_a_period(space: ControlSpace, count: int) -> None:
    sampler = Schedule(space, points=6, per_step=count)
    for step in (0, 3):
        visited = sampler(0, step, range(count))
        space.check(visited)
        assert len(visited.unique(dim=0)) == count
        torch.testing.assert_close(visited * 5, (visited * 5).round())
        assert {tuple(row) for row in visited.tolist()} >= set(space.vertices)


@pytest.mark.parametrize("per_step", [1, 4, 7])
def test_steps_go_on_where_the_last_one_ended(per_step: int) -> None:
    sampler = Schedule(SIMPLEX, points=4, per_step=per_step)
    steps = [sampler(0, step, range(per_step)) for step in range(40)]
    walk = torch.cat(steps)
    period = len(sampler.omegas)
    assert period == 10
    assert torch.equal(walk[:period], sampler.omegas)
    assert torch.equal(walk[period:], walk[:-period])


@pytest.mark.parametrize("space", [BOX, SIMPLEX])
@pytest.mark.parametrize("length", [8, 16, 64])
def test_every_stretch_of_a_period_is_closer_to_all_points_than_a_random_one(
    space: ControlSpace, length: int
) -> None:
    omegas = Schedule(space, points=17, per_step=1).omegas
    random = torch.Generator().manual_seed(0)
    shuffles = [omegas[torch.randperm(len(omegas), generator=random)] for _ in range(5)]
    ours, *others = (
        sum(error(omegas, part) for part in order.split(length)[:-1]) for order in (omegas, *shuffles)
    )
    assert ours < 0.95 * min(others)


def error(omegas: torch.Tensor, visited: torch.Tensor) -> float:
    """Mean square of the distance to the nearest visited point."""
    return torch.cdist(omegas, visited).min(1).values.square().mean().item()


@pytest.mark.parametrize("length", [8, 16, 64])
def test_every_stretch_has_a_lower_discrepancy_than_a_random_one(length: int) -> None:
    omegas = Schedule(BOX, points=17, per_step=1).omegas.double()
    # A grid that includes the ends is not uniform over the box; the middles of as many equal cells are.
    cells = (omegas * 16 + 0.5) / 17
    shuffled = cells[torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))]
    ours, random = (
        sum(qmc.discrepancy(part.numpy()) for part in order.split(length)[:-1]) for order in (cells, shuffled)
    )
    assert ours < 0.6 * random


@pytest.mark.parametrize(("points", "per_step"), [(1, 1), (2, 0)])
def test_impossible_numbers_are_refused(points: int, per_step: int) -> None:
    with pytest.raises(OmegaError, match=f"got {points} and {per_step}"):
        Schedule(BOX, points, per_step)


def test_a_grid_that_is_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(OmegaError, match="lower points"):
        Schedule(ControlSpace.box(*"abcdefgh"), points=1000, per_step=1)


def test_a_simplex_of_many_controls_counts_its_own_points() -> None:
    space = ControlSpace.simplex(*"abcdefgh")  # as rows of a box there would be 16384
    omegas = Schedule(space, points=4, per_step=1).omegas
    space.check(omegas)
    assert len(omegas.unique(dim=0)) == len(omegas) == 120
    with pytest.raises(OmegaError, match="has 6435 on this simplex of 8 controls"):
        Schedule(space, points=9, per_step=1)


def test_the_order_of_visits_is_pinned() -> None:
    visits = Schedule(SIMPLEX, points=3, per_step=1).omegas
    wanted = [[0, 1, 1], [0, 0, 2], [0, 2, 0], [1, 0, 1], [1, 1, 0], [2, 0, 0]]
    assert visits.mul(2).tolist() == wanted


SPACE = ControlSpace.box("denoise", "deblur")


def test_every_row_is_the_setting() -> None:
    omega = SPACE.omega(denoise=1, deblur=0.25)
    assert torch.equal(Fixed(SPACE, omega)(3, 7, [0, 5]), torch.tensor([[1, 0.25]] * 2))


@pytest.mark.parametrize(
    ("omega", "words"),
    [
        (torch.tensor([0.5]), "shape"),
        (torch.tensor([[0.5, 0.5]]), "one omega of shape"),
        (torch.tensor([0.5, 1.5]), "within"),
    ],
)
def test_what_is_no_single_omega_is_refused(omega: Tensor, words: str) -> None:
    with pytest.raises(OmegaError, match=words):
        Fixed(SPACE, omega)
