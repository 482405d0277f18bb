"""Dirichlet and uniform omegas.

Uniform is the usual choice for tunable convolutions (https://arxiv.org/abs/2304.00898); a Dirichlet with a
concentration below 1 spends more of the training near the vertices, where the objectives are pure, as in
Pareto hypernetworks (https://arxiv.org/abs/2010.04104).
"""

import torch
from torch import Generator, Tensor

from tunable_models.controls import ControlSpace
from tunable_models.sampling.sampler import RowSampler, check_number


class Dirichlet(RowSampler):
    """Concentration ``alpha`` on every vertex direction.

    On a simplex omega ~ Dirichlet(alpha, ..., alpha). On a box every control draws on its own
    two-vertex simplex, that is Beta(alpha, alpha): alpha < 1 favours the corners, 1 is uniform,
    more than 1 favours the middle.

    Args:
        space: where the omegas lie.
        alpha: concentration, 0.01 to 100.

    Raises:
        OmegaError: alpha is not between 0.01 and 100.

    Example:
        >>> from tunable_models import ControlSpace, Dirichlet
        >>> sampler = Dirichlet(ControlSpace.simplex("sharp", "smooth"), alpha=0.2)
        >>> sampler(seed=0, step=5, indices=[0, 1]).sum(1)
        tensor([1., 1.])
    """

    def __init__(self, space: ControlSpace, alpha: float) -> None:
        super().__init__(space)
        self.alpha = check_number("Dirichlet's alpha", alpha, 0.01, 100)

    def _draw(self, generator: Generator) -> Tensor:
        on_box = self.space.kind == "box"
        concentration = (len(self.space), 2) if on_box else (len(self.space),)
        draw = dirichlet(torch.full(concentration, self.alpha, dtype=torch.float64), generator)
        return draw[:, 0] if on_box else draw


class Uniform(Dirichlet):
    """Every omega of the space equally likely: a Dirichlet of concentration 1.

    Args:
        space: where the omegas lie.

    Example:
        >>> from tunable_models import ControlSpace, Uniform
        >>> sampler = Uniform(ControlSpace.box("denoise", "deblur"))
        >>> batch = sampler(seed=0, step=5, indices=range(16))
        >>> torch.equal(batch[7:9], sampler(seed=0, step=5, indices=[7, 8]))
        True
    """

    def __init__(self, space: ControlSpace) -> None:
        super().__init__(space, 1.0)


def dirichlet(concentration: Tensor, generator: Generator) -> Tensor:
    """One draw for each row of concentrations (..., K) in float64."""
    # The operator behind torch.distributions.Dirichlet, which itself takes no generator.
    return torch._sample_dirichlet(concentration, generator=generator)
