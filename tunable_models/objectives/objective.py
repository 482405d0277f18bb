"""What every objective is: one number a sample that training makes small.

Shapes: output (B, C, H, W), target of the same shape unless an objective says otherwise; result (B,).
"""

from typing import Protocol

from torch import Tensor


class Objective(Protocol):
    """A distance between output and target, or a wish about the output alone.

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
