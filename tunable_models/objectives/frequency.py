"""L1 in the frequency domain, as in MIMO-UNet.

Cho et al., "Rethinking Coarse-to-Fine Approach in Single Image Deblurring", ICCV 2021,
https://arxiv.org/abs/2108.05054.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tunable_models.objectives.precision import at_least_float32
from tunable_models.objectives.same_shape import check_same_shape


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
