"""Omegas drawn from Dirichlet, uniform, Beta and truncated normal distributions.

Uniform is the usual choice for tunable convolutions (https://arxiv.org/abs/2304.00898); a Dirichlet with a
concentration below 1 spends more of the training near the vertices, where the objectives are pure, as in
Pareto hypernetworks (https://arxiv.org/abs/2010.04104).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError
from tunable_models.sampling.sampler import RowSampler, check_number


class Dirichlet(RowSampler):
    """Concentration ``alpha`` on every vertex direction.

    On a simplex omega ~ Dirichlet(alpha, ..., alpha). On a box every control draws on its own
    two-vertex simplex, that is Beta(alpha, alpha): alpha < 1 favours the corners, 1 is uniform,
    more than 1 favours the middle.

    Args:
        space: of the omegas.
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
        draw = draw_dirichlet(torch.full(concentration, self.alpha, dtype=torch.float64), generator)
        return draw[:, 0] if on_box else draw


class Uniform(Dirichlet):
    """Every omega of the space equally likely: a Dirichlet of concentration 1.

    Args:
        space: of the omegas.

    Example:
        >>> from tunable_models import ControlSpace, Uniform
        >>> sampler = Uniform(ControlSpace.box("denoise", "deblur"))
        >>> batch = sampler(seed=0, step=5, indices=range(16))
        >>> torch.equal(batch[7:9], sampler(seed=0, step=5, indices=[7, 8]))
        True
    """

    def __init__(self, space: ControlSpace) -> None:
        super().__init__(space, 1.0)


def draw_dirichlet(concentration: Tensor, generator: Generator) -> Tensor:
    """One draw for each row of concentrations (..., K) in float64."""
    # The operator behind torch.distributions.Dirichlet, which itself takes no generator.
    return torch._sample_dirichlet(concentration, generator=generator)


class Beta(RowSampler):
    """Beta(a, b) for each slider of a box; for one control of a simplex, whichever.

    On a box the sliders are independent. On a simplex one control, each equally likely, is drawn from
    Beta(a, b), and the others share the rest uniformly. So all controls are treated alike, Beta(1, P-1) is
    uniform over the simplex of P controls, and two controls with a = b are one slider with Beta(a, a).

    Args:
        space: of the omegas.
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
        rest = (1 - share) * draw_dirichlet(torch.ones(count - 1, dtype=torch.float64), generator)
        return torch.cat([rest[:chosen], share, rest[chosen:]])

    def _beta(self, count: int, generator: Generator) -> Tensor:
        pairs = torch.tensor([[self.a, self.b]], dtype=torch.float64).repeat(count, 1)
        return draw_dirichlet(pairs, generator)[:, 0]


_Proposal = Callable[[Generator, int], Tensor]

_PROPOSALS = 512
"""Drawn at once; a simplex where fewer than one in that many is accepted is refused."""


class TruncatedNormal(RowSampler):
    """A normal distribution around ``mean``, conditioned on the space.

    On a box every slider is drawn from N(mean, std^2) conditioned on [0, 1], independently. On a simplex the
    density, with respect to the uniform one, is proportional to exp(-|omega - mean|^2 / (2 std^2)): the
    isotropic normal in the plane of the simplex, conditioned on no control being negative. Both are exact.

    Args:
        space: of the omegas.
        mean: the most likely omega: P numbers in [0, 1], of sum 1 on a simplex; on a box also one number
            for all sliders. None is the centre of the space.
        std: before the truncation, 0.001 to 100.

    Raises:
        OmegaError: mean is no omega of the space, std is out of range, or the simplex has so many controls
            that hardly any normal draw falls in it.

    Example:
        >>> from tunable_models import ControlSpace, TruncatedNormal
        >>> space = ControlSpace.box("denoise", "deblur")
        >>> sampler = TruncatedNormal(space, mean=[0.2, 0.9], std=0.01)
        >>> draws = sampler(seed=0, step=5, indices=range(100))
        >>> draws.mean(0).sub(torch.tensor([0.2, 0.9])).abs().max().item() < 0.005
        True
    """

    def __init__(
        self, space: ControlSpace, mean: float | Sequence[float] | None = None, std: float = 0.25
    ) -> None:
        super().__init__(space)
        self.std = check_number("TruncatedNormal's std", std, 0.001, 100)
        self.mean = _check_mean(space, mean)
        if space.kind == "simplex":
            self._propose = self._best_proposal()

    def _draw(self, generator: Generator) -> Tensor:
        if self.space.kind == "box":
            low, high = (torch.special.ndtr((bound - self.mean) / self.std) for bound in (0.0, 1.0))
            uniform = torch.rand(len(self.space), generator=generator, dtype=torch.float64)
            quantile = torch.special.ndtri(low + (high - low) * uniform)
            return torch.clamp(self.mean + self.std * quantile, 0, 1)
        while not len(accepted := self._propose(generator, _PROPOSALS)):
            pass
        return accepted[0]

    def _best_proposal(self) -> _Proposal:
        """Whichever way to draw from the simplex throws less away."""
        ways = (self._from_normal, self._from_uniform)
        kept = [len(way(Generator().manual_seed(0), 32 * _PROPOSALS)) for way in ways]
        if max(kept) < 32:
            raise OmegaError(
                f"a normal of std {self.std} hardly ever falls in a simplex of {len(self.space)} controls; "
                "take Dirichlet, or a mean away from the border"
            )
        return ways[kept.index(max(kept))]

    def _from_normal(self, generator: Generator, count: int) -> Tensor:
        offset = torch.randn(count, len(self.space), generator=generator, dtype=torch.float64) * self.std
        omega = self.mean + offset - offset.mean(1, keepdim=True)
        return omega[(omega >= 0).all(1)].clamp(0, 1)

    def _from_uniform(self, generator: Generator, count: int) -> Tensor:
        omega = draw_dirichlet(torch.ones(count, len(self.space), dtype=torch.float64), generator)
        density = torch.exp(-(omega - self.mean).square().sum(1) / (2 * self.std**2))
        return omega[torch.rand(count, generator=generator, dtype=torch.float64) < density]


def _check_mean(space: ControlSpace, mean: float | Sequence[float] | None) -> Tensor:
    """The mean as (P,) float64."""
    if mean is None:
        mean = 0.5 if space.kind == "box" else [1 / len(space)] * len(space)
    if not isinstance(mean, Sequence):
        if space.kind == "simplex":
            raise OmegaError(
                f"TruncatedNormal's mean on a simplex: expected {len(space)} numbers, got {mean!r}"
            )
        mean = [mean] * len(space)
    values = [check_number("TruncatedNormal's mean", value, 0, 1) for value in mean]
    space.check(omega := torch.tensor(values, dtype=torch.float64))
    return omega if space.kind == "box" else omega / omega.sum()
