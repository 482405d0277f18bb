import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tunable_models import (
    L1,
    MSE,
    PSNR,
    RMSE,
    SSIM,
    Charbonnier,
    Frequency,
    TotalVariation,
    TunableError,
    psnr,
    ssim,
)


def test_values_of_l1(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    d = output.numpy() - target.numpy()
    assert L1()(output, target).tolist() == pytest.approx((np.abs(d)).mean((1, 2, 3)).tolist())
    assert L1()(target, target).tolist() == [0, 0, 0]


def test_whether_it_blends_targets_of_l1() -> None:
    """At weights 0.6 and 0.4 the best constant is between the targets, or it is the first target."""
    candidates = np.linspace(0, 1, 101)
    d = candidates
    at_zero = np.abs(d)
    d = candidates - 1
    at_one = np.abs(d)
    best = candidates[(0.6 * at_zero + 0.4 * at_one).argmin()]
    assert (best == pytest.approx(0.4)) == L1.blends_targets


def test_values_of_mse(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    d = output.numpy() - target.numpy()
    assert MSE()(output, target).tolist() == pytest.approx((d**2).mean((1, 2, 3)).tolist())
    assert MSE()(target, target).tolist() == [0, 0, 0]


def test_whether_it_blends_targets_of_mse() -> None:
    """At weights 0.6 and 0.4 the best constant is between the targets, or it is the first target."""
    candidates = np.linspace(0, 1, 101)
    d = candidates
    at_zero = d**2
    d = candidates - 1
    at_one = d**2
    best = candidates[(0.6 * at_zero + 0.4 * at_one).argmin()]
    assert (best == pytest.approx(0.4)) == MSE.blends_targets


def test_values_of_rmse(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    expected = np.sqrt(((output.numpy() - target.numpy()) ** 2).mean((1, 2, 3)) + 0.1**2)
    assert RMSE(0.1)(output, target).tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan")])
def test_epsilon_is_positive_of_rmse(epsilon: float) -> None:
    with pytest.raises(TunableError, match="positive"):
        RMSE(epsilon)


def test_values_of_charbonnier(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    expected = np.sqrt((output.numpy() - target.numpy()) ** 2 + 0.2**2).mean((1, 2, 3))
    assert Charbonnier(0.2)(output, target).tolist() == pytest.approx(expected.tolist())
    assert Charbonnier(0.2)(target, target).tolist() == pytest.approx([0.2] * 3)


def test_is_l1_for_a_small_epsilon(pair: tuple[Tensor, Tensor]) -> None:
    assert Charbonnier(1e-6)(*pair).tolist() == pytest.approx(L1()(*pair).tolist())


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan")])
def test_epsilon_is_positive_of_charbonnier(epsilon: float) -> None:
    with pytest.raises(TunableError, match="positive"):
        Charbonnier(epsilon)


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_is_the_metric_with_its_sign_turned(pair: tuple[Tensor, Tensor], data_range: float) -> None:
    output, target = (data_range * image for image in pair)
    decibel = psnr(output, target, data_range=data_range)
    torch.testing.assert_close(PSNR(data_range)(output, target), -decibel, rtol=1e-6, atol=0)


def test_values_of_psnr(pair: tuple[Tensor, Tensor]) -> None:
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


def test_values_of_frequency(pair: tuple[Tensor, Tensor]) -> None:
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


def test_values_of_total_variation(pair: tuple[Tensor, Tensor]) -> None:
    x = pair[0].numpy()
    across = np.abs(x[..., 1:] - x[..., :-1]).mean((1, 2, 3))
    down = np.abs(x[..., 1:, :] - x[..., :-1, :]).mean((1, 2, 3))
    assert TotalVariation()(pair[0]).tolist() == pytest.approx((across + down).tolist())


def test_a_flat_image_has_none() -> None:
    assert TotalVariation()(torch.full((2, 3, 4, 4), 0.7)).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(1, 3, 1, 8), (1, 3, 8, 1), (3, 8, 8)])
def test_an_image_without_neighbours_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(TunableError, match="2 px"):
        TotalVariation()(torch.zeros(shape))
