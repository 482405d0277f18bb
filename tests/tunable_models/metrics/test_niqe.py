"""NIQE against the published algorithm written once more, patch by patch, with numpy and scipy."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage, special
from torch import Tensor

from tunable_models import TunableError
from tunable_models.metrics import NIQE

SHAPES = np.arange(0.2, 10.0005, 0.001)


def reference(image: Any, mean: Any, covariance: Any) -> float:
    """NIQE of one picture (H, W, 3) or (H, W) in [0, 1]."""
    grey = np.rint(255 * (image @ [0.298936021293775, 0.587043074451121, 0.114020904255103]))
    rows, columns = (side // 96 for side in grey.shape)
    grey = grey[: rows * 96, : columns * 96]
    half = resize_matrix(grey.shape[0]) @ grey @ resize_matrix(grey.shape[1]).T
    features = np.array(
        [
            patch_features(mscn(grey)[96 * i : 96 * i + 96, 96 * j : 96 * j + 96])
            + patch_features(mscn(half)[48 * i : 48 * i + 48, 48 * j : 48 * j + 48])
            for i in range(rows)
            for j in range(columns)
        ]
    )
    whole = features[~np.isnan(features).any(1)]
    difference = mean - np.nanmean(features, axis=0)
    pooled = (covariance + np.cov(whole, rowvar=False)) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(pooled) @ difference))


def mscn(grey: Any) -> Any:
    y, x = np.mgrid[-3:4, -3:4]
    window = np.exp(-(x**2 + y**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    mean = ndimage.correlate(grey, window, mode="nearest")
    square = ndimage.correlate(grey**2, window, mode="nearest")
    difference = np.round(grey - mean, 9)  # flat is zero, whatever the order of the sum
    return difference / (np.sqrt(np.abs(square - mean**2)) + 1)


def resize_matrix(size: int) -> Any:
    """MATLAB's imresize by a half along one axis: cubic of Keys, widened twice, indices mirrored."""
    matrix = np.zeros((size // 2, size))
    for out in range(size // 2):
        centre = 2 * out + 0.5
        for index in range(int(centre) - 5, int(centre) + 7):
            mirrored = index if 0 <= index < size else (-index - 1 if index < 0 else 2 * size - 1 - index)
            matrix[out, mirrored] += cubic(abs(index - centre) / 2)
    return matrix / matrix.sum(1, keepdims=True)


def cubic(x: float) -> float:
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def patch_features(patch: Any) -> list[float]:
    alpha, left, right = aggd(patch)
    features = [alpha, (left + right) / 2]
    for shift in [(0, 1), (1, 0), (1, 1), (1, -1)]:
        alpha, left, right = aggd(patch * np.roll(patch, shift, axis=(0, 1)))
        mean = (right - left) * special.gamma(2 / alpha) / special.gamma(1 / alpha)
        features += [alpha, mean, left, right]
    return features


def aggd(values: Any) -> tuple[float, float, float]:
    below, above = values[values < 0], values[values > 0]
    if not (below.size and above.size):
        return 0.2, np.nan, np.nan
    left, right = np.sqrt((below**2).mean()), np.sqrt((above**2).mean())
    ratio = left / right
    moment = np.abs(values).mean() ** 2 / (values**2).mean()
    wanted = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    table = special.gamma(2 / SHAPES) ** 2 / (special.gamma(1 / SHAPES) * special.gamma(3 / SHAPES))
    alpha = SHAPES[np.argmin((table - wanted) ** 2)]
    scale = np.sqrt(special.gamma(1 / alpha) / special.gamma(3 / alpha))
    return alpha, left * scale, right * scale


def photograph(height: int, width: int, seed: int) -> Any:
    """Something with edges, gradients and texture, (H, W, 3) in [0, 1]."""
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.standard_normal((height, width, 3)), (6, 6, 0)) * 8
    edges = np.sign(ndimage.gaussian_filter(random.standard_normal((height, width, 1)), (9, 9, 0))) * 0.15
    fine = ndimage.gaussian_filter(random.standard_normal((height, width, 3)), (0.8, 0.8, 0)) * 0.04
    return np.clip(0.5 + 0.2 * smooth + edges + fine, 0, 1)


def tensor(image: Any) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0)


@pytest.fixture
def model() -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    mean = random.random(36)
    root = random.standard_normal((36, 60))
    return mean, root @ root.T / 60


def metric(model: tuple[Any, Any]) -> NIQE:
    return NIQE(*(torch.from_numpy(part) for part in model))


@pytest.mark.parametrize(("height", "width"), [(192, 288), (210, 200), (96, 192)])
def test_it_is_the_published_algorithm(model: tuple[Any, Any], height: int, width: int) -> None:
    images = [photograph(height, width, seed) for seed in (0, 1)]
    wanted = [reference(image, *model) for image in images]
    got = metric(model)(torch.cat([tensor(image) for image in images]))
    assert got.tolist() == pytest.approx(wanted, rel=1e-6)


def test_a_singular_model_goes_through_the_pseudoinverse(model: tuple[Any, Any]) -> None:
    image, zeros = photograph(192, 192, 0), np.zeros((36, 36))
    got = metric((model[0], zeros))(tensor(image)).item()
    assert got == pytest.approx(reference(image, model[0], zeros), rel=1e-3)


def test_flat_patches_are_left_out_as_published(model: tuple[Any, Any]) -> None:
    image = photograph(192, 288, 0)
    image[:, 180:] = 0.25
    got = metric(model)(tensor(image)).item()
    assert got == pytest.approx(reference(image, *model), rel=1e-6)


def test_a_flat_picture_has_no_number(model: tuple[Any, Any]) -> None:
    flat = torch.full((1, 3, 96, 288), 0.5)
    half = torch.cat([tensor(photograph(96, 96, 0)).float(), flat[..., :192]], dim=3)
    assert metric(model)(torch.cat([flat, half])).isnan().all()


def test_grey_pictures_are_their_own_grey(model: tuple[Any, Any]) -> None:
    grey = tensor(photograph(192, 192, 0))[:, :1]
    torch.testing.assert_close(metric(model)(grey), metric(model)(grey.expand(-1, 3, -1, -1)))


def test_the_border_is_cropped_before_patches_are_cut(model: tuple[Any, Any]) -> None:
    image = tensor(photograph(200, 296, 0))
    assert torch.equal(metric(model)(image, crop_border=4), metric(model)(image[..., 4:-4, 4:-4]))
    assert torch.equal(metric(model)(image), metric(model)(image[..., :192, :288]))


@pytest.mark.slow
def test_noise_and_blur_move_a_picture_away_from_the_photographs() -> None:
    features = []
    for seed in range(8):
        image = photograph(192, 288, seed)
        grey = np.rint(255 * image.mean(2))
        half = resize_matrix(192) @ grey @ resize_matrix(288).T
        for i, j in np.ndindex(2, 3):
            full, small = mscn(grey)[96 * i :, 96 * j :], mscn(half)[48 * i :, 48 * j :]
            features.append(patch_features(full[:96, :96]) + patch_features(small[:48, :48]))
    pristine = metric((np.mean(features, axis=0), np.cov(features, rowvar=False)))
    image = photograph(192, 288, 99)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 0.1, image.shape), 0, 1)
    blurred = ndimage.gaussian_filter(image, (2, 2, 0))
    clean, *degraded = pristine(torch.cat([tensor(x) for x in (image, noisy, blurred)])).tolist()
    assert min(degraded) > 2 * clean


@pytest.mark.parametrize("shape", [(1, 3, 96, 191), (1, 3, 95, 960), (3, 192, 192), (1, 2, 192, 192)])
def test_pictures_that_are_too_small_or_no_pictures_are_an_error(
    model: tuple[Any, Any], shape: tuple[int, ...]
) -> None:
    with pytest.raises(TunableError, match=r"two patches|NIQE needs images"):
        metric(model)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [
        (torch.zeros(1, 36), torch.eye(36)),
        (torch.zeros(36), torch.eye(35)),
        (torch.full((36,), torch.nan), torch.eye(36)),
        (torch.zeros(36), torch.full((36, 36), torch.inf)),
    ],
)
def test_an_impossible_model_is_an_error(mean: Tensor, covariance: Tensor) -> None:
    with pytest.raises(TunableError, match="expected a NIQE model"):
        NIQE(mean, covariance)
