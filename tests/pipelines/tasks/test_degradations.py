import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from pipelines.tasks.degradations import TRUNCATE, add_noise, gaussian_blur


@pytest.mark.parametrize("size", [(16, 12), (5, 3), (1, 1), (1, 40), (2, 2)])
def test_blur_equals_scipys(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size, dtype=torch.float64)
    blurred = gaussian_blur(images, torch.tensor([1.5, 1.5])).numpy()
    expected = images.numpy()
    for axis in (2, 3):
        expected = gaussian_filter1d(expected, 1.5, axis=axis, mode="mirror", truncate=TRUNCATE)
    np.testing.assert_allclose(blurred, expected, atol=1e-6)


def test_each_sample_has_its_own_sigma() -> None:
    images = torch.rand(3, 3, 16, 16)
    sigma = torch.tensor([0.0, 1.0, 2.0])
    blurred = gaussian_blur(images, sigma)
    assert torch.equal(blurred[0], images[0])
    for i in range(1, 3):
        torch.testing.assert_close(blurred[i : i + 1], gaussian_blur(images[i : i + 1], sigma[i : i + 1]))


def test_noise_has_the_asked_sigma_and_is_not_clipped() -> None:
    images, noise = torch.ones(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    noisy = add_noise(images, torch.tensor([0.0, 25.0]), noise)
    assert torch.equal(noisy[0], images[0])
    assert (noisy[1] - 1).std().item() * 255 == pytest.approx(25, rel=0.05)
    assert noisy[1].max() > 1
