"""Deterministic omegas: one setting throughout, or every setting of a grid equally often.

The grid is visited in the order of the additive recurrence of Roberts, "The Unreasonable Effectiveness of
Quasirandom Sequences", 2018,
https://extremelearning.com.au/unreasonable-effectiveness-of-quasirandom-sequences/, so every stretch of a
period, not only its beginning, is spread over the space. Deterministic preferences in place of random ones:
PaLoRA, https://arxiv.org/abs/2407.08056.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, product

import torch
from torch import Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError
from tunable_models.sampling.sampler import check_step, visit_number
from tunable_models.sampling.sobol import map_to_simplex

MAX_POINTS = 5_000
"""Of the whole grid; ordering takes the square of it."""


class Schedule:
    """All points of a regular grid, vertices included, over and over.

    On a box the grid has ``points`` values of every slider, ends included; on a simplex all omegas whose
    values are multiples of 1 / (points - 1). Index i of a step is visit number step * per_step + i of the
    endless repetition of one fixed order, the same for all seeds.

    Args:
        space: of the omegas.
        points: values of a slider, at least 2.
        per_step: how many indices a step has, over all processes.

    Attributes:
        omegas: (N, P) float32, the period in the order of visits.

    Raises:
        OmegaError: points is less than 2, per_step less than 1, or the grid has more than 5000 points;
            in a call, a negative step, or an index that is not less than per_step.

    Example:
        >>> from tunable_models import ControlSpace, Schedule
        >>> sampler = Schedule(ControlSpace.box("denoise"), points=5, per_step=5)
        >>> sampler(seed=0, step=0, indices=range(5)).flatten()
        tensor([0.5000, 0.0000, 0.7500, 0.2500, 1.0000])
    """

    def __init__(self, space: ControlSpace, points: int, per_step: int) -> None:
        if points < 2 or per_step < 1:
            raise OmegaError(f"Schedule needs points >= 2 and per_step >= 1, got {points!r} and {per_step!r}")
        self.space, self.points, self.per_step = space, points, per_step
        self.omegas = _spread_order(space, _make_grid(space, points)).float()

    def __call__(self, seed: int, step: int, indices: Sequence[int]) -> Tensor:
        """(n, P) omegas; see :class:`~tunable_models.sampling.sampler.Sampler`."""
        visits = [visit_number(step, index, self.per_step) for index in indices]
        return self.omegas[torch.tensor(visits, dtype=torch.int64).remainder(len(self.omegas))]


def _make_grid(space: ControlSpace, points: int) -> Tensor:
    """(N, P) float64, the first control slowest."""
    on_box, free = space.kind == "box", len(space) - (space.kind == "simplex")
    count = points**free if on_box else math.comb(points - 1 + free, free)
    if count > MAX_POINTS:  # before anything is made
        raise OmegaError(
            f"a grid of {points} points a slider has {count} on this {space.kind} of {len(space)} controls, "
            f"more than {MAX_POINTS}; lower points"
        )
    rows = product(range(points), repeat=free) if on_box else _split_total(points - 1, len(space))
    return torch.tensor(list(rows), dtype=torch.float64) / (points - 1)


def _split_total(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write a number as a sum of so many that are not negative, in the order of a dictionary."""
    for bars in combinations(range(total + parts - 1), parts - 1):
        ends = (-1, *bars, total + parts - 1)
        yield tuple(after - before - 1 for before, after in pairwise(ends))


def _spread_order(space: ControlSpace, grid: Tensor) -> Tensor:
    """The points of the grid in the order of visits: each next one is the closest to the sequence's."""
    points = _cell_middles(space, grid)
    visited = torch.zeros(len(grid), dtype=torch.float64)
    order = []
    for target in _golden_sequence(space, len(grid)):
        # Rounded, or the last bit of a machine's arithmetic would choose among equally close points.
        distance = (points - target).square().sum(1).mul(1e9).round()
        chosen = int((distance + visited).argmin())
        visited[chosen] = torch.inf
        order.append(chosen)
    return grid[order]


def _cell_middles(space: ControlSpace, grid: Tensor) -> Tensor:
    """Where the points would be if each were the middle of an equal part of the space, borders included."""
    gap = grid[grid > 0].min()
    middle = 0.5 if space.kind == "box" else 1 / len(space)
    return (grid / gap + middle) / (1 / gap + 1)


def _golden_sequence(space: ControlSpace, count: int) -> Tensor:
    """(count, P) points of the space without clumps: multiples, modulo 1, of powers of a golden ratio."""
    free = len(space) - (space.kind == "simplex")
    ratio = 2.0
    for _ in range(64):  # to the root of ratio^(free + 1) = ratio + 1
        ratio = (1 + ratio) ** (1 / (free + 1))
    powers = ratio ** -torch.arange(1, free + 1, dtype=torch.float64)
    points = (0.5 + torch.arange(count, dtype=torch.float64).unsqueeze(1) * powers).frac()
    return points if space.kind == "box" else map_to_simplex(points)


class Fixed:
    """The same omega at every step.

    Args:
        space: of the omega.
        omega: (P,), see :meth:`~tunable_models.controls.ControlSpace.omega`.

    Raises:
        OmegaError: it is no single omega of the space.

    Example:
        >>> from tunable_models import ControlSpace, Fixed
        >>> space = ControlSpace.box("denoise", "deblur")
        >>> Fixed(space, space.omega(denoise=1, deblur=0))(seed=0, step=5, indices=range(2))
        tensor([[1., 0.],
                [1., 0.]])
    """

    def __init__(self, space: ControlSpace, omega: Tensor) -> None:
        space.check(omega)
        if omega.dim() != 1:
            raise OmegaError(f"expected one omega of shape ({len(space)},), got {tuple(omega.shape)}")
        self.space = space
        self.omega = omega.detach().float().cpu()

    def __call__(self, seed: int, step: int, indices: Sequence[int]) -> Tensor:
        """(n, P) omegas; see :class:`~tunable_models.sampling.sampler.Sampler`."""
        check_step(step)
        return self.omega.repeat(len(indices), 1)
