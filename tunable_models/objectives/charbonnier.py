"""The Charbonnier distance: Charbonnier et al., ICIP 1994, https://doi.org/10.1109/ICIP.1994.413553."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunable_models.objectives.constants import check_positive
from tunable_models.objectives.same_shape import check_same_shape


@dataclass(frozen=True)
class Charbonnier:
    """A smooth L1: mean of sqrt(d^2 + epsilon^2); epsilon, not 0, at zero error.

    Attributes:
        epsilon: where the absolute value turns into a parabola, in units of the image's range.

    Raises:
        TunableError: epsilon is not positive and finite.

    Example:
        >>> Charbonnier(epsilon=0.3)(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.4))
        tensor([0.5000])
    """

    epsilon: float = 1e-3
    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive(self, "epsilon", self.epsilon)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) means of sqrt((output - target)^2 + epsilon^2)."""
        check_same_shape(self, output, target)
        return ((output - target).square() + self.epsilon**2).sqrt().flatten(1).mean(1)
