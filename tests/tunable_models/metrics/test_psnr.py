"""PSNR against scikit-image, an independent implementation."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from tunable_models import TunableError, psnr, ssim


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 24, 31, generator=stream, dtype=torch.float64)
    noise = torch.randn(target.shape, generator=stream, dtype=torch.float64)
    return target + noise * torch.tensor([0.01, 0.1, 0.5]).view(-1, 1, 1, 1), target


def reference(output: Tensor, target: Tensor, border: int, luma: bool) -> float:
    images = [image.permute(1, 2, 0).numpy() for image in (target, output)]
    inner = np.s_[border : images[0].shape[0] - border, border : images[0].shape[1] - border]
    images = [image[inner] for image in images]
    if luma:
        images = [rgb2ycbcr(image)[..., 0] / 255 for image in images]
    return float(peak_signal_noise_ratio(*images, data_range=1))


@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("luma", [False, True])
def test_it_is_scikit_images(pair: tuple[Tensor, Tensor], border: int, luma: bool) -> None:
    wanted = [reference(o, t, border, luma) for o, t in zip(*pair, strict=True)]
    got = psnr(*pair, crop_border=border, luma=luma)
    assert got.tolist() == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.25, 0.5), (1.0, 1.0)])
def test_constant_images(a: float, b: float) -> None:
    output, target = (torch.full((1, 3, 11, 12), value, dtype=torch.float64) for value in (a, b))
    wanted = -20 * math.log10(abs(a - b)) if a != b else math.inf
    assert psnr(output, target).item() == pytest.approx(wanted)


@pytest.mark.parametrize("luma", [False, True])
def test_scaling_images_and_range_together_changes_nothing(pair: tuple[Tensor, Tensor], luma: bool) -> None:
    output, target = pair
    large = psnr(255 * output, 255 * target, data_range=255.0, luma=luma)
    torch.testing.assert_close(large, psnr(output, target, luma=luma))


def test_samples_do_not_mix(pair: tuple[Tensor, Tensor]) -> None:
    singles = [psnr(o[None], t[None]) for o, t in zip(*pair, strict=True)]
    torch.testing.assert_close(psnr(*pair), torch.cat(singles))


def test_half_precision_images_are_measured_in_single_precision(pair: tuple[Tensor, Tensor]) -> None:
    halves = [image[2:].half() for image in pair]
    assert psnr(*halves).dtype == torch.float32
    torch.testing.assert_close(psnr(*halves), psnr(*(half.float() for half in halves)))


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize(
    ("shapes", "options", "words"),
    [
        (((3, 16, 16), (1, 3, 16, 16)), {}, "one shape"),
        (((1, 3, 16, 17), (1, 3, 16, 16)), {}, "one shape"),
        (((3, 16, 16), (3, 16, 16)), {}, "one shape"),
        (((1, 1, 16, 16), (1, 1, 16, 16)), {"luma": True}, "RGB"),
        (((1, 3, 16, 40), (1, 3, 16, 40)), {"crop_border": 8}, r"leave something of \(16, 40\)"),
        (((1, 3, 16, 16), (1, 3, 16, 16)), {"crop_border": -1}, "got -1"),
        (((1, 3, 16, 16), (1, 3, 16, 16)), {"data_range": 0.0}, "positive"),
    ],
)
def test_what_cannot_be_compared_is_an_error(
    metric: type, shapes: tuple[tuple[int, ...], ...], options: dict[str, float], words: str
) -> None:
    with pytest.raises(TunableError, match=words):
        metric(*(torch.zeros(shape) for shape in shapes), **options)
