"""Which omega to train on: sampling distributions on the box and on the simplex.

A sampler draws from a :class:`torch.Generator` that the caller keys, so that the draw depends on
nothing but that key. Uniform is the paper's choice (https://arxiv.org/abs/2304.00898); a Dirichlet
with a concentration below 1 spends more of the training near the vertices, where the objectives are
pure, as in Pareto hypernetworks (https://arxiv.org/abs/2010.04104).
"""

from typing import Protocol

import torch
from torch import Generator, Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError


class Sampler(Protocol):
    """Draws omegas of one space."""

    def __call__(self, count: int, generator: Generator) -> Tensor:
        """(count, P), float32 on the generator's device, each row in the space."""
        ...


class Dirichlet:
    """Concentration ``alpha`` on every vertex direction.

    On a simplex omega ~ Dirichlet(alpha, ..., alpha). On a box every control draws on its own
    two-vertex simplex, that is Beta(alpha, alpha): alpha < 1 favours the corners, 1 is uniform,
    more than 1 favours the middle.

    Raises:
        OmegaError: alpha is not between 0.01 and 100.
    """

    def __init__(self, space: ControlSpace, alpha: float) -> None:
        if not 0.01 <= alpha <= 100:
            raise OmegaError(f"Dirichlet concentration must be between 0.01 and 100, got {alpha!r}")
        self.space = space
        self.alpha = alpha

    def __call__(self, count: int, generator: Generator) -> Tensor:
        """(count, P) omegas; see :class:`Sampler`."""
        on_box = self.space.kind == "box"
        shape = (count, len(self.space), 2) if on_box else (count, len(self.space))
        concentration = torch.full(shape, self.alpha, dtype=torch.float64, device=generator.device)
        # The operator behind torch.distributions.Dirichlet, which itself takes no generator.
        draw = torch._sample_dirichlet(concentration, generator=generator).float()
        return draw[..., 0] if on_box else draw


class Uniform(Dirichlet):
    """Every omega of the space equally likely: a Dirichlet of concentration 1."""

    def __init__(self, space: ControlSpace) -> None:
        super().__init__(space, 1.0)
