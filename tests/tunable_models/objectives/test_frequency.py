import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tunable_models import Frequency


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    """Against MIMO-UNet's definition: L1 of real and imaginary parts, transform not normalised."""
    spectra = [np.fft.fft2(image.numpy()) for image in pair]
    parts = [np.stack([spectrum.real, spectrum.imag], -1) for spectrum in spectra]
    theirs = np.abs(parts[0] - parts[1]).mean((1, 2, 3, 4))
    ours = Frequency()(*pair) * math.sqrt(8 * 10)
    assert ours.tolist() == pytest.approx(theirs.tolist())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves(pair: tuple[Tensor, Tensor], dtype: torch.dtype) -> None:
    halves = [image.to(dtype) for image in pair]
    value = Frequency()(*halves)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), Frequency()(*pair), rtol=0.02, atol=0)
