"""Corner mixtures: a share of the training exactly where the objectives are pure."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError
from tunable_models.sampling.sampler import Sampler, check_number, keyed_generator


class Corners:
    """A vertex of the space with probability ``weight``, each equally likely; else another family's omega.

    The vertices are the 2^P corners of a box, the P pure settings of a simplex. A continuous family
    never draws them, though they are what most users set.

    Args:
        space: of the omegas.
        weight: probability of a vertex, 0 to 1.
        inner: where the other omegas come from; of the same space.

    Raises:
        OmegaError: a weight out of range; an ``inner`` of another space, or that is such a mixture itself.

    Example:
        >>> from tunable_models import ControlSpace, Corners, Uniform
        >>> space = ControlSpace.box("denoise", "deblur")
        >>> sampler = Corners(space, weight=0.25, inner=Uniform(space))
        >>> draws = sampler(seed=0, step=5, indices=range(1000))
        >>> at_corners = (draws == draws.round()).all(1).float().mean().item()
        >>> 0.2 < at_corners < 0.3
        True
    """

    def __init__(self, space: ControlSpace, weight: float, inner: Sampler) -> None:
        if isinstance(inner, Corners):
            # Both would toss the same coin, and the inner one never show a vertex.
            raise OmegaError("Corners within Corners is one mixture: give their weights to a single one")
        if inner.space != space:
            raise OmegaError(
                f"expected Corners' inner to draw from the same space, {_describe_space(space)}, got "
                f"{_describe_space(inner.space)}; give both one space"
            )
        self.space = space
        self.weight = check_number("Corners' weight", weight, 0, 1)
        self.inner = inner
        self._vertices = torch.tensor(space.vertices)

    def __call__(self, seed: int, step: int, indices: Sequence[int]) -> Tensor:
        """(n, P) omegas; see :class:`~tunable_models.sampling.sampler.Sampler`."""
        omega = self.inner(seed, step, indices).clone()
        for row, index in enumerate(indices):
            generator = keyed_generator(seed, step, index, "corner")
            if torch.rand(1, generator=generator, dtype=torch.float64).item() < self.weight:
                chosen = torch.randint(len(self._vertices), (1,), generator=generator)
                omega[row] = self._vertices[int(chosen)]
        return omega


def _describe_space(space: ControlSpace) -> str:
    return f"the {space.kind} of {', '.join(space.names)}"
