"""PSNR and SSIM against scikit-image, an independent implementation."""

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from tunable_models import TunableError, psnr, ssim


def skimage_ssim(output: Tensor, target: Tensor, data_range: float = 1.0) -> float:
    """SSIM as Wang et al. define it; like ours, it averages over whole windows only."""
    return float(
        structural_similarity(
            output.numpy(),
            target.numpy(),
            channel_axis=0,
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 24, 31, generator=stream, dtype=torch.float64)
    noise = torch.randn(target.shape, generator=stream, dtype=torch.float64)
    return target + noise * torch.tensor([0.01, 0.1, 0.5]).view(-1, 1, 1, 1), target


def test_psnr_is_scikit_images(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    wanted = [
        peak_signal_noise_ratio(t.numpy(), o.numpy(), data_range=1)
        for o, t in zip(output, target, strict=True)
    ]
    assert psnr(output, target).tolist() == pytest.approx(wanted, abs=1e-9)


def test_ssim_is_scikit_images(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    wanted = [skimage_ssim(o, t) for o, t in zip(output, target, strict=True)]
    assert ssim(output, target).tolist() == pytest.approx(wanted, abs=1e-9)
    single = ssim(output.float(), target.float())
    assert single.tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.25, 0.5), (1.0, 1.0)])
def test_constant_images(a: float, b: float) -> None:
    output, target = (torch.full((1, 3, 11, 12), value, dtype=torch.float64) for value in (a, b))
    assert ssim(output, target).item() == pytest.approx(skimage_ssim(output[0], target[0]), abs=1e-9)
    wanted = -20 * math.log10(abs(a - b)) if a != b else math.inf
    assert psnr(output, target).item() == pytest.approx(wanted)


def test_scaling_images_and_range_together_changes_nothing(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    for metric in (psnr, ssim):
        large = metric(255 * output, 255 * target, data_range=255.0)
        torch.testing.assert_close(large, metric(output, target))


def test_samples_do_not_mix(pair: tuple[Tensor, Tensor]) -> None:
    output, target = pair
    for metric in (psnr, ssim):
        singles = [metric(o[None], t[None]) for o, t in zip(output, target, strict=True)]
        torch.testing.assert_close(metric(output, target), torch.cat(singles))


def test_equal_images_have_similarity_one(pair: tuple[Tensor, Tensor]) -> None:
    assert ssim(pair[1], pair[1]).tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 3, 16, 17)])
def test_other_shapes_are_an_error(shape: tuple[int, ...]) -> None:
    for metric in (psnr, ssim):
        with pytest.raises(TunableError, match="one shape"):
            metric(torch.zeros(shape), torch.zeros(1, 3, 16, 16))


def test_an_image_smaller_than_the_window_is_an_error() -> None:
    with pytest.raises(TunableError, match="11 px"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
