"""The PSNR loss that NAFNet trains on: Chen et al., "Simple Baselines for Image Restoration", ECCV 2022.

https://arxiv.org/abs/2204.04676
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunable_models.objectives.constants import check_positive
from tunable_models.objectives.same_shape import check_same_shape


@dataclass(frozen=True)
class PSNR:
    """PSNR in dB with its sign turned: 10 log10(MSE / data_range^2 + epsilon).

    Smaller is better and good outputs are negative. Halving a sample's error counts the same however small
    the error is.

    Attributes:
        data_range: largest possible value less the smallest.
        epsilon: keeps the logarithm finite at zero error, where the loss is 10 log10(epsilon); 1e-8 is
            80 dB.

    Raises:
        TunableError: a constant that is not positive and finite.

    Example:
        >>> PSNR()(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1)).round(decimals=2)
        tensor([-20.])
    """

    data_range: float = 1.0
    epsilon: float = 1e-8
    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive(self, "data_range", self.data_range)
        check_positive(self, "epsilon", self.epsilon)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) values of 10 log10(MSE / data_range^2 + epsilon), in dB."""
        check_same_shape(self, output, target)
        error = (output - target).square().flatten(1).mean(1)
        return 10 * (error / self.data_range**2 + self.epsilon).log10()
