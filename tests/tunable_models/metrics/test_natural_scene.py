import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch.nn import functional as F

from tunable_models.metrics.natural_scene import fit_aggd, gaussian_window, halve_image, normalize_luminance


def test_halving_is_pillows_bicubic_away_from_the_border() -> None:
    image = torch.rand(1, 1, 40, 56, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pillow = Image.fromarray(image[0, 0].float().numpy()).resize((28, 20), Image.Resampling.BICUBIC)
    ours = halve_image(image)[0, 0, 2:-2, 2:-2]
    torch.testing.assert_close(ours.float(), torch.from_numpy(np.array(pillow))[2:-2, 2:-2])
    interpolated = F.interpolate(image, scale_factor=0.5, mode="bicubic", antialias=True)
    torch.testing.assert_close(ours, interpolated[0, 0, 2:-2, 2:-2])


def test_halving_keeps_a_flat_picture_and_mirrors_the_border() -> None:
    torch.testing.assert_close(halve_image(torch.full((1, 1, 8, 8), 3.0)), torch.full((1, 1, 4, 4), 3.0))
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mirrored = torch.cat([image.flip(3), image, image.flip(3)], dim=3)
    torch.testing.assert_close(halve_image(mirrored)[..., 8:16], halve_image(image))


def test_the_window_is_a_gaussian_of_sum_one() -> None:
    window = gaussian_window()
    assert window.sum().item() == pytest.approx(1)
    assert (window[3, 5] / window[3, 3]).item() == pytest.approx(np.exp(-(2**2) / (2 * (7 / 6) ** 2)))


def test_normalised_luminance_of_noise_has_no_mean_and_less_than_unit_spread() -> None:
    noise = torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 40
    values = normalize_luminance(noise + 128)
    assert abs(values.mean().item()) < 0.01
    assert 0.8 < values.std().item() < 1.0
    assert normalize_luminance(torch.full((1, 1, 12, 12), 7.0, dtype=torch.float64)).eq(0).all()


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0, 4.0])
def test_the_fit_finds_the_distribution_that_was_drawn_from(shape: float) -> None:
    draws = np.abs(stats.gennorm(shape).rvs(400_000, random_state=0))
    left, right = 0.5, 2.0
    # An asymmetric one puts mass in proportion to the scale on each side.
    below = np.arange(draws.size) < draws.size * left / (left + right)
    values = torch.from_numpy(np.where(below, -left * draws, right * draws)).unsqueeze(0)
    got = [float(part) for part in fit_aggd(values)]
    assert got == pytest.approx([shape, left, right], rel=0.03)


def test_a_row_with_one_side_only_has_no_scale_on_the_other() -> None:
    shape, left, right = fit_aggd(torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64))
    assert shape.tolist() == [0.2, 0.2]
    assert left.isnan().all()
    assert right.isnan().tolist() == [False, True]
