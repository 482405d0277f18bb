"""Objectives: how far an output is from a target, one number a sample.

Shapes: output and target (B, C, H, W), same shape; result (B,), not negative.

``blends_targets`` says whether a weighted sum of this objective over different targets still has its
best output *between* them. It holds for the squared error alone: with L1, Charbonnier or PSNR the best
output jumps from one target to the other at weight 0.5, which makes a dead slider. Those objectives
take one blended target instead (:class:`tunable_models.BlendedLoss`).
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from tunable_models.errors import TunableError


class Objective(Protocol):
    """A distance between output and target."""

    blends_targets: ClassVar[bool]

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) distances of (B, C, H, W) output and target."""
        ...


@dataclass(frozen=True)
class L1:
    """Mean absolute error."""

    blends_targets: ClassVar[bool] = False

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) means of abs(output - target)."""
        return (output - target).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class Charbonnier:
    """A smooth L1: mean of sqrt(d^2 + epsilon^2), Charbonnier et al., ICIP 1994.

    Attributes:
        epsilon: where the absolute value turns into a parabola, in units of the image's range.
    """

    epsilon: float = 1e-3
    blends_targets: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise TunableError(f"Charbonnier's epsilon must be positive, got {self.epsilon!r}")

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) means of sqrt((output - target)^2 + epsilon^2)."""
        return ((output - target).square() + self.epsilon**2).sqrt().flatten(1).mean(1)


@dataclass(frozen=True)
class MSE:
    """Mean squared error: the one whose weighted sum blends targets."""

    blends_targets: ClassVar[bool] = True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) means of (output - target)^2."""
        return (output - target).square().flatten(1).mean(1)


@dataclass(frozen=True)
class RMSE:
    """Root of a sample's mean squared error.

    Its best output is that of the squared error, so PSNR rises with it, and its gradient does not fade
    where targets are easy: samples at every omega pull alike.

    Attributes:
        epsilon: keeps the gradient finite at zero error, in units of the image's range.
    """

    epsilon: float = 1e-3
    blends_targets: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise TunableError(f"RMSE's epsilon must be positive, got {self.epsilon!r}")

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) roots of the mean of (output - target)^2, plus epsilon^2 under the root."""
        return ((output - target).square().flatten(1).mean(1) + self.epsilon**2).sqrt()
