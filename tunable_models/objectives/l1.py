"""L1: what most restoration networks train on."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunable_models.objectives.same_shape import check_same_shape


@dataclass(frozen=True)
class L1:
    """Mean absolute error.

    Example:
        >>> L1()(torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5))
        tensor([0.5000, 0.5000])
    """

    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) means of abs(output - target)."""
        check_same_shape(self, output, target)
        return (output - target).abs().flatten(1).mean(1)
