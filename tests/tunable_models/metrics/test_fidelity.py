import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from tunable_models import TunableError, psnr, ssim
from tunable_models.metrics import luma


@pytest.fixture
def psnr_pair() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 24, 31, generator=stream, dtype=torch.float64)
    noise = torch.randn(target.shape, generator=stream, dtype=torch.float64)
    return target + noise * torch.tensor([0.01, 0.1, 0.5]).view(-1, 1, 1, 1), target


def reference_psnr(output: Tensor, target: Tensor, border: int, luma: bool) -> float:
    images = [image.permute(1, 2, 0).numpy() for image in (target, output)]
    inner = np.s_[border : images[0].shape[0] - border, border : images[0].shape[1] - border]
    images = [image[inner] for image in images]
    if luma:
        images = [rgb2ycbcr(image)[..., 0] / 255 for image in images]
    return float(peak_signal_noise_ratio(*images, data_range=1))


@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("luma", [False, True])
def test_it_is_scikit_images_of_psnr(psnr_pair: tuple[Tensor, Tensor], border: int, luma: bool) -> None:
    wanted = [reference_psnr(o, t, border, luma) for o, t in zip(*psnr_pair, strict=True)]
    got = psnr(*psnr_pair, crop_border=border, luma=luma)
    assert got.tolist() == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.25, 0.5), (1.0, 1.0)])
def test_constant_images_of_psnr(a: float, b: float) -> None:
    output, target = (torch.full((1, 3, 11, 12), value, dtype=torch.float64) for value in (a, b))
    wanted = -20 * math.log10(abs(a - b)) if a != b else math.inf
    assert psnr(output, target).item() == pytest.approx(wanted)


@pytest.mark.parametrize("luma", [False, True])
def test_scaling_images_and_range_together_keeps_psnr(psnr_pair: tuple[Tensor, Tensor], luma: bool) -> None:
    output, target = psnr_pair
    large = psnr(255 * output, 255 * target, data_range=255.0, luma=luma)
    torch.testing.assert_close(large, psnr(output, target, luma=luma))


def test_samples_do_not_mix_of_psnr(psnr_pair: tuple[Tensor, Tensor]) -> None:
    singles = [psnr(o[None], t[None]) for o, t in zip(*psnr_pair, strict=True)]
    torch.testing.assert_close(psnr(*psnr_pair), torch.cat(singles))


def test_half_precision_images_are_measured_in_single_precision(psnr_pair: tuple[Tensor, Tensor]) -> None:
    halves = [image[2:].half() for image in psnr_pair]
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


@pytest.fixture
def ssim_pair() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 24, 31, generator=stream, dtype=torch.float64)
    noise = torch.randn(target.shape, generator=stream, dtype=torch.float64)
    return target + noise * torch.tensor([0.01, 0.1, 0.5]).view(-1, 1, 1, 1), target


def reference_ssim(output: Tensor, target: Tensor, border: int = 0, luma: bool = False) -> float:
    """SSIM as Wang et al. define it; like ours, it averages over whole windows only."""
    height, width = output.shape[-2:]
    images = [x[:, border : height - border, border : width - border].numpy() for x in (output, target)]
    if luma:
        images = [rgb2ycbcr(image, channel_axis=0)[:1] / 255 for image in images]
    return float(
        structural_similarity(
            *images,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("luma", [False, True])
def test_it_is_scikit_images_of_ssim(ssim_pair: tuple[Tensor, Tensor], border: int, luma: bool) -> None:
    wanted = [reference_ssim(o, t, border, luma) for o, t in zip(*ssim_pair, strict=True)]
    got = ssim(*ssim_pair, crop_border=border, luma=luma)
    assert got.tolist() == pytest.approx(wanted, abs=1e-9)
    single = ssim(*(image.float() for image in ssim_pair), crop_border=border, luma=luma)
    assert single.tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.25, 0.5), (1.0, 1.0)])
def test_constant_images_of_ssim(a: float, b: float) -> None:
    output, target = (torch.full((1, 3, 11, 12), value, dtype=torch.float64) for value in (a, b))
    assert ssim(output, target).item() == pytest.approx(reference_ssim(output[0], target[0]), abs=1e-9)


@pytest.mark.parametrize("luma", [False, True])
def test_scaling_images_and_range_together_keeps_ssim(ssim_pair: tuple[Tensor, Tensor], luma: bool) -> None:
    output, target = ssim_pair
    large = ssim(255 * output, 255 * target, data_range=255.0, luma=luma)
    torch.testing.assert_close(large, ssim(output, target, luma=luma))


def test_samples_do_not_mix_of_ssim(ssim_pair: tuple[Tensor, Tensor]) -> None:
    singles = [ssim(o[None], t[None]) for o, t in zip(*ssim_pair, strict=True)]
    torch.testing.assert_close(ssim(*ssim_pair), torch.cat(singles))


def test_equal_images_have_similarity_one(ssim_pair: tuple[Tensor, Tensor]) -> None:
    assert ssim(ssim_pair[1], ssim_pair[1]).tolist() == pytest.approx([1.0] * 3)


@pytest.mark.slow
def test_gradients_are_those_of_the_formula(ssim_pair: tuple[Tensor, Tensor]) -> None:
    output, target = (image[:1, :, :12, :13].contiguous() for image in ssim_pair)
    assert torch.autograd.gradcheck(lambda x: ssim(x, target), output.requires_grad_())
    assert torch.autograd.gradcheck(lambda x: ssim(x, target, crop_border=0, luma=True), output)


def test_the_gradient_of_equal_images_is_zero(ssim_pair: tuple[Tensor, Tensor]) -> None:
    output = ssim_pair[1].float().requires_grad_()
    ssim(output, ssim_pair[1].float()).sum().backward()
    assert output.grad is not None
    assert output.grad.abs().max() < 1e-4


def test_autocast_does_not_lose_the_variances(ssim_pair: tuple[Tensor, Tensor]) -> None:
    output, target = (image.float() for image in ssim_pair)
    wanted = ssim(output, target)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ssim(output, target), wanted)


def test_an_image_smaller_than_the_window_is_an_error() -> None:
    with pytest.raises(TunableError, match="11 px"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
    with pytest.raises(TunableError, match=r"\(10, 32\)"):
        ssim(torch.zeros(1, 3, 18, 40), torch.zeros(1, 3, 18, 40), crop_border=4)


def test_it_is_scikit_images_of_luma() -> None:
    image = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = torch.from_numpy(rgb2ycbcr(image.permute(0, 2, 3, 1).numpy())[..., 0]).unsqueeze(1)
    torch.testing.assert_close(luma(image) * 255, wanted)
    torch.testing.assert_close(luma(image * 255, data_range=255.0), wanted)


def test_black_and_white_are_16_and_235() -> None:
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    assert luma(ends).mul(255).flatten().tolist() == pytest.approx([16, 235])


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 4, 4, 4), (3, 4, 4)])
def test_other_than_rgb_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(TunableError, match="RGB"):
        luma(torch.zeros(shape))
