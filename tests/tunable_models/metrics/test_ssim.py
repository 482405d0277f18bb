"""SSIM against scikit-image, an independent implementation."""

import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity
from torch import Tensor

from tunable_models import TunableError, ssim


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 24, 31, generator=stream, dtype=torch.float64)
    noise = torch.randn(target.shape, generator=stream, dtype=torch.float64)
    return target + noise * torch.tensor([0.01, 0.1, 0.5]).view(-1, 1, 1, 1), target


def reference(output: Tensor, target: Tensor, border: int = 0, luma: bool = False) -> float:
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
def test_it_is_scikit_images(pair: tuple[Tensor, Tensor], border: int, luma: bool) -> None:
    wanted = [reference(o, t, border, luma) for o, t in zip(*pair, strict=True)]
    got = ssim(*pair, crop_border=border, luma=luma)
    assert got.tolist() == pytest.approx(wanted, abs=1e-9)
    single = ssim(*(image.float() for image in pair), crop_border=border, luma=luma)
    assert single.tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.25, 0.5), (1.0, 1.0)])
def test_constant_images(a: float, b: float) -> None:
    output, target = (torch.full((1, 3, 11, 12), value, dtype=torch.float64) for value in (a, b))
    assert ssim(output, target).item() == pytest.approx(reference(output[0], target[0]), abs=1e-9)


@pytest.mark.parametrize("luma", [False, True])
def test_scaling_images_and_range_together_changes_nothing(pair: tuple[Tensor, Tensor], luma: bool) -> None:
    output, target = pair
    large = ssim(255 * output, 255 * target, data_range=255.0, luma=luma)
    torch.testing.assert_close(large, ssim(output, target, luma=luma))


def test_samples_do_not_mix(pair: tuple[Tensor, Tensor]) -> None:
    singles = [ssim(o[None], t[None]) for o, t in zip(*pair, strict=True)]
    torch.testing.assert_close(ssim(*pair), torch.cat(singles))


def test_equal_images_have_similarity_one(pair: tuple[Tensor, Tensor]) -> None:
    assert ssim(pair[1], pair[1]).tolist() == pytest.approx([1.0] * 3)


@pytest.mark.slow
def test_gradients_are_those_of_the_formula(pair: tuple[Tensor, Tensor]) -> None:
    output, target = (image[:1, :, :12, :13].contiguous() for image in pair)
    assert torch.autograd.gradcheck(lambda x: ssim(x, target), output.requires_grad_())
    assert torch.autograd.gradcheck(lambda x: ssim(x, target, crop_border=0, luma=True), output)


def test_the_gradient_of_equal_images_is_zero(pair: tuple[Tensor, Tensor]) -> None:
    output = pair[1].float().requires_grad_()
    ssim(output, pair[1].float()).sum().backward()
    assert output.grad is not None
    assert output.grad.abs().max() < 1e-4


def test_autocast_does_not_lose_the_variances(pair: tuple[Tensor, Tensor]) -> None:
    output, target = (image.float() for image in pair)
    wanted = ssim(output, target)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ssim(output, target), wanted)


def test_an_image_smaller_than_the_window_is_an_error() -> None:
    with pytest.raises(TunableError, match="11 px"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
    with pytest.raises(TunableError, match=r"\(10, 32\)"):
        ssim(torch.zeros(1, 3, 18, 40), torch.zeros(1, 3, 18, 40), crop_border=4)
