"""Perceptual metrics that are networks, such as LPIPS, as objectives.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018,
https://arxiv.org/abs/1801.03924.
"""

from typing import ClassVar

from torch import Tensor, nn

from tunable_models.errors import ConversionError
from tunable_models.objectives.same_shape import check_same_shape
from tunable_models.objectives.trunk import TrunkObjective


class Perceptual(TrunkObjective):
    """The distance that a network returns by itself.

    Args:
        trunk: maps output and target, both (B, 3, H, W), to B numbers, (B,) or (B, 1, 1, 1). Frozen in
            place.

    Example:
        >>> class Blurred(nn.Module):
        ...     def forward(self, output, target):
        ...         return nn.functional.avg_pool2d(output - target, 4).square().mean((1, 2, 3))
        >>> Perceptual(Blurred())(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8))
        tensor([1., 1.])
    """

    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__(trunk)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) distances of (B, 3, H, W) output and target.

        Raises:
            ConversionError: the network does not return one number a sample.
            TunableError: the shapes differ.
        """
        check_same_shape(self, output, target)
        distance: Tensor = self.trunk(output, target)
        if distance.numel() != len(output):
            raise ConversionError(
                f"expected {type(self.trunk).__name__} to return one number for each of {len(output)} "
                f"samples, got shape {tuple(distance.shape)}; switch its averaging over the batch off"
            )
        return distance.flatten()
