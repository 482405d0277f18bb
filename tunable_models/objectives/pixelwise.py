"""Objectives computed from pixels alone: distances to a target, and total variation.

Sources: the Charbonnier distance, ICIP 1994, https://doi.org/10.1109/ICIP.1994.413553; the PSNR loss of
NAFNet, ECCV 2022, https://arxiv.org/abs/2204.04676; the frequency loss of MIMO-UNet, ICCV 2021,
https://arxiv.org/abs/2108.05054; total variation, Physica D 1992,
https://doi.org/10.1016/0167-2789(92)90242-F.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tunable_models.errors import TunableError
from tunable_models.metrics import ssim
from tunable_models.objectives.objective import at_least_float32, check_positive, check_same_shape


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


@dataclass(frozen=True)
class Frequency:
    """Mean absolute error of the real and imaginary parts of the whole 2-D Fourier spectrum.

    The transform is orthonormal, so that the number is of the size of an L1 whatever the size of the
    patches. MIMO-UNet's is not normalised: for its weight of 0.1 on patches of H x W pixels the scale here
    is 0.1 sqrt(H W).

    Example:
        >>> target = torch.zeros(1, 1, 4, 4)
        >>> Frequency()(torch.ones(1, 1, 4, 4), target)  # one coefficient of 4 among 16, 2 parts each
        tensor([0.1250])
    """

    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) means of abs(Re F) and abs(Im F), F = FFT(output - target) over H and W."""
        check_same_shape(self, output, target)
        difference = at_least_float32(output - target)  # not every device transforms halves
        spectrum = torch.fft.fft2(difference, norm="ortho")
        return torch.view_as_real(spectrum).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class TotalVariation:
    """How much neighbouring pixels differ; needs no target.

    Example:
        >>> TotalVariation()(torch.tensor([[0.0, 1.0], [0.0, 1.0]]).expand(1, 3, 2, 2))
        tensor([1.])
    """

    blends_targets: ClassVar[bool] = True
    needs_target: ClassVar[bool] = False

    def __call__(self, output: Tensor, target: Tensor | None = None) -> Tensor:
        """(B,) sums of the mean absolute differences across and down.

        Raises:
            TunableError: output is not (B, C, H, W) with H and W at least 2.
        """
        if output.dim() != 4 or min(output.shape[-2:]) < 2:
            raise TunableError(
                f"TotalVariation expected (B, C, H, W) with sides of 2 px at least, got {tuple(output.shape)}"
            )
        across = output.diff(dim=-1).abs().flatten(1).mean(1)
        return across + output.diff(dim=-2).abs().flatten(1).mean(1)
