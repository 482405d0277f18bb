"""Structural similarity as an objective; the formula is the metric's, :func:`tunable_models.ssim`."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunable_models.metrics import ssim
from tunable_models.objectives.constants import check_positive


@dataclass(frozen=True)
class SSIM:
    """1 - SSIM: from 0 for equal images to 2.

    Attributes:
        data_range: largest possible value less the smallest.

    Raises:
        TunableError: a data range that is not positive and finite.

    Example:
        >>> image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> SSIM()(image, image).abs() < 1e-6
        tensor([True, True])
    """

    data_range: float = 1.0
    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive(self, "data_range", self.data_range)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) values of 1 - SSIM; sides of 11 px at least.

        Raises:
            TunableError: the shapes differ or are smaller than the window.
        """
        return 1 - ssim(output, target, data_range=self.data_range)
