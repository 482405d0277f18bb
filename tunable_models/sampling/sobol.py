"""Sobol omegas: random, yet spread evenly over the space and over every stretch of the training.

Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals", 1967,
https://doi.org/10.1016/0041-5553(67)90144-9; scrambled as in Matousek, "On the L2-discrepancy for anchored
boxes", 1998, https://doi.org/10.1006/jcom.1998.0489 (torch's SobolEngine). On a simplex the unit cube is
bent onto it by a map that keeps volumes (Devroye, "Non-Uniform Random Variate Generation", 1986, chapter XI).
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError
from tunable_models.sampling.sampler import keyed_generator, visit_number


class Sobol:
    """The points of one scrambled Sobol sequence, in order; the seed scrambles it.

    Index i of a step is point number step * per_step + i (after 2^30 points the sequence begins anew).
    Each omega alone is uniform; together they leave no gaps.

    Args:
        space: of the omegas.
        per_step: how many indices a step has, over all processes.

    Raises:
        OmegaError: per_step is less than 1; in a call, a negative step, or an index that is not less than
            per_step.

    Example:
        >>> from tunable_models import ControlSpace, Sobol
        >>> sampler = Sobol(ControlSpace.box("denoise"), per_step=4)
        >>> quarters = sampler(seed=0, step=5, indices=range(4)).mul(4).floor()
        >>> sorted(quarters.flatten().tolist())
        [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(self, space: ControlSpace, per_step: int) -> None:
        if per_step < 1:
            raise OmegaError(f"Sobol's per_step must be at least 1, got {per_step!r}")
        self.space, self.per_step = space, per_step

    def __call__(self, seed: int, step: int, indices: Sequence[int]) -> Tensor:
        """(n, P) omegas; see :class:`~tunable_models.sampling.sampler.Sampler`."""
        numbers = [visit_number(step, index, self.per_step) for index in indices]
        on_box = self.space.kind == "box"
        points = _sobol_points(int(seed), len(self.space) - (not on_box), numbers)
        return (points if on_box else map_to_simplex(points)).float()


def map_to_simplex(points: Tensor) -> Tensor:
    """The unit cube onto the simplex, one to one and keeping volumes: (n, P-1) to (n, P).

    Each control takes its share of what the earlier ones left; with k controls after it, the share is
    Beta(1, k), here by the inverse of its distribution function.
    """
    after = torch.arange(points.shape[1], 0, -1, dtype=points.dtype)
    kept = (1 - points) ** (1 / after)
    left = torch.cat([torch.ones_like(points[:, :1]), kept.cumprod(1)], dim=1)
    return torch.cat([left[:, :-1] * (1 - kept), left[:, -1:]], dim=1)


def _sobol_points(seed: int, dimension: int, numbers: Sequence[int]) -> Tensor:
    """Points of the sequence by number, (n, dimension) float64 in [0, 1)."""
    engine = _make_engine(seed, dimension)
    # Antonov and Saleev: point n is the sum, bit by bit, of the direction numbers in n's Gray code. The
    # engine itself can only walk there, which takes a minute a billion points.
    number = torch.tensor(numbers, dtype=torch.int64).remainder(2**engine.MAXBIT)
    gray = number ^ (number >> 1)
    points: Tensor = engine.shift.expand(len(numbers), dimension).clone()
    for bit in range(engine.MAXBIT):
        points ^= engine.sobolstate[:, bit] * ((gray >> bit) & 1).unsqueeze(1)
    return points.double().div(2**engine.MAXBIT)


@lru_cache(maxsize=64)
def _make_engine(seed: int, dimension: int) -> SobolEngine:
    key = keyed_generator(seed, 0, dimension, "sobol").initial_seed()
    return SobolEngine(dimension, scramble=True, seed=key)  # type: ignore[no-untyped-call]
