import pytest
import torch

from tunable_models import SSIM, TunableError, ssim


def test_is_one_less_the_metric() -> None:
    output, target = torch.rand(2, 2, 3, 14, 12)
    torch.testing.assert_close(SSIM()(output, target), 1 - ssim(output, target))
    wide = SSIM(255)(255 * output, 255 * target)
    torch.testing.assert_close(wide, 1 - ssim(output, target), rtol=1e-4, atol=1e-5)


def test_smaller_than_the_window_is_an_error() -> None:
    with pytest.raises(TunableError, match="11"):
        SSIM()(torch.zeros(1, 3, 10, 20), torch.zeros(1, 3, 10, 20))
    with pytest.raises(TunableError, match="data_range"):
        SSIM(0)
