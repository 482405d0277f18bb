"""The root of the squared error."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunable_models.objectives.constants import check_positive
from tunable_models.objectives.same_shape import check_same_shape


@dataclass(frozen=True)
class RMSE:
    """Root of a sample's mean squared error.

    Its best output is that of the squared error, so PSNR rises with it, and its gradient does not fade
    where targets are easy: samples at every omega pull alike.

    Attributes:
        epsilon: keeps the gradient finite at zero error, in units of the image's range.

    Raises:
        TunableError: epsilon is not positive and finite.

    Example:
        >>> RMSE(epsilon=0.3)(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.4))
        tensor([0.5000])
    """

    epsilon: float = 1e-3
    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive(self, "epsilon", self.epsilon)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) roots of the mean of (output - target)^2, plus epsilon^2 under the root."""
        check_same_shape(self, output, target)
        return ((output - target).square().flatten(1).mean(1) + self.epsilon**2).sqrt()
