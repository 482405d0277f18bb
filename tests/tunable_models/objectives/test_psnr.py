import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tunable_models import PSNR, TunableError, psnr


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_is_the_metric_with_its_sign_turned(pair: tuple[Tensor, Tensor], data_range: float) -> None:
    output, target = (data_range * image for image in pair)
    decibel = psnr(output, target, data_range=data_range)
    torch.testing.assert_close(PSNR(data_range)(output, target), -decibel, rtol=1e-6, atol=0)


def test_values(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    errors = ((output.numpy() - target.numpy()) ** 2).mean((1, 2, 3))
    expected = [10 * math.log10(error + 1e-3) for error in np.asarray(errors)]
    assert PSNR(epsilon=1e-3)(output, target).tolist() == pytest.approx(expected)
    assert PSNR()(target, target).tolist() == pytest.approx([-80] * 3)


def test_constants_are_positive() -> None:
    with pytest.raises(TunableError, match="data_range"):
        PSNR(0)
    with pytest.raises(TunableError, match="epsilon"):
        PSNR(epsilon=0)
