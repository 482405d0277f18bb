"""The squared error, whose weighted sums blend targets."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunable_models.objectives.same_shape import check_same_shape


@dataclass(frozen=True)
class MSE:
    """Mean squared error: the one whose weighted sum over targets is best at their blend.

    Keeping the input is this objective with the input as its target.

    Example:
        >>> from tunable_models import ControlSpace, MultiLoss, Term
        >>> keep_input = Term(objective=MSE(), target="input")
        >>> loss = MultiLoss(ControlSpace.box("denoise"), [keep_input, Term(objective=MSE())])
        >>> noisy, clean = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
        >>> loss(noisy, {"input": noisy, "clean": clean}, torch.tensor([[0.25]]))
        tensor([0.2500])
    """

    blends_targets: ClassVar[bool] = True
    needs_target: ClassVar[bool] = True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) means of (output - target)^2."""
        check_same_shape(self, output, target)
        return (output - target).square().flatten(1).mean(1)
