"""Beta omegas: more of the training at one end of the sliders, or at both."""

import torch
from torch import Generator, Tensor

from tunable_models.controls import ControlSpace
from tunable_models.sampling.dirichlet import dirichlet
from tunable_models.sampling.sampler import RowSampler, check_number


class Beta(RowSampler):
    """Beta(a, b) for each slider of a box; for one control of a simplex, whichever.

    On a box the sliders are independent. On a simplex one control, each equally likely, is drawn from
    Beta(a, b), and the others share the rest uniformly. So all controls are treated alike, Beta(1, P-1) is
    uniform over the simplex of P controls, and two controls with a = b are one slider with Beta(a, a).

    Args:
        space: where the omegas lie.
        a: 0.01 to 100; the smaller, the more draws near 0.
        b: 0.01 to 100; the smaller, the more draws near 1.

    Raises:
        OmegaError: a or b is not between 0.01 and 100.

    Example:
        >>> from tunable_models import Beta, ControlSpace
        >>> draws = Beta(ControlSpace.box("denoise"), a=0.5, b=1.0)(seed=0, step=5, indices=range(1000))
        >>> abs(draws.mean().item() - 1 / 3) < 0.03
        True
    """

    def __init__(self, space: ControlSpace, a: float, b: float) -> None:
        super().__init__(space)
        self.a = check_number("Beta's a", a, 0.01, 100)
        self.b = check_number("Beta's b", b, 0.01, 100)

    def _draw(self, generator: Generator) -> Tensor:
        count = len(self.space)
        if self.space.kind == "box":
            return self._beta(count, generator)
        chosen = int(torch.randint(count, (1,), generator=generator))
        share = self._beta(1, generator)
        rest = (1 - share) * dirichlet(torch.ones(count - 1, dtype=torch.float64), generator)
        return torch.cat([rest[:chosen], share, rest[chosen:]])

    def _beta(self, count: int, generator: Generator) -> Tensor:
        pairs = torch.tensor([[self.a, self.b]], dtype=torch.float64).repeat(count, 1)
        return dirichlet(pairs, generator)[:, 0]
