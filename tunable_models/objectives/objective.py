"""What every objective is, one number a sample that training makes small, and the checks they share.

Shapes: output (B, C, H, W), target of the same shape unless an objective says otherwise; result (B,).
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from tunable_models.errors import TunableError


class Objective(Protocol):
    """A distance between output and target, or a property of the output alone.

    Any object with these three members will do, an ``nn.Module`` too.

    Example:
        >>> class Peak:
        ...     "The largest error of a sample."
        ...     blends_targets, needs_target = False, True
        ...     def __call__(self, output, target):
        ...         return (output - target).abs().flatten(1).amax(1)
        >>> Peak()(torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4))
        tensor([1., 1.])
    """

    @property
    def blends_targets(self) -> bool:
        """Whether a weighted sum of this objective over different targets is best *between* them.

        It holds for squared errors, in the space they are taken in. With L1, Charbonnier or PSNR the best
        output jumps from one target to the other, which makes a dead slider: give those one blended target
        (:class:`tunable_models.BlendedLoss`).
        """
        ...

    @property
    def needs_target(self) -> bool:
        """Whether it looks at a target; if not, it ignores what it is given for one."""
        ...

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) numbers, smaller is better."""
        ...


def check_positive(objective: object, name: str, value: float) -> None:
    """Refuse a constant of an objective that is not positive and finite.

    Raises:
        TunableError: ``value`` is zero, negative, infinite or not a number.
    """
    if not (math.isfinite(value) and value > 0):
        raise TunableError(f"{type(objective).__name__}'s {name} must be positive and finite, got {value!r}")


def check_same_shape(objective: object, output: Tensor, target: Tensor) -> None:
    """Refuse an output and a target that are not batches of one shape.

    Raises:
        TunableError: the shapes differ or have no batch dimension.
    """
    if output.shape != target.shape or output.dim() < 2:
        raise TunableError(
            f"{type(objective).__name__} expected output and target of one shape (B, C, H, W), got "
            f"{tuple(output.shape)} and {tuple(target.shape)}; bring the target to the output's size first"
        )


def at_least_float32(values: Tensor) -> Tensor:
    """Halves as float32; everything else as it is."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
