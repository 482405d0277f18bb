"""Scores against scikit-image, an independent implementation."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipelines.data.photos import PhotoSet, write_photos
from pipelines.errors import DataError
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.scores import CLEAN, MAX_PSNR_DB, degrade, mean, score
from pipelines.perceptual import LPIPS
from pipelines.tasks import DenoiseDeblur


def test_numbers_are_scikit_images(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig, lpips: LPIPS
) -> None:
    degraded = degrade(photos, 0, task, config)
    own = task.blend(degraded.targets, torch.tensor([[0.25, 0.5]]))
    got = score(degraded.inputs, degraded.targets, own, lpips)
    shown = degraded.inputs[0].clamp(0, 1).numpy()

    def db(target: torch.Tensor) -> float:
        return float(peak_signal_noise_ratio(target.clamp(0, 1).numpy(), shown, data_range=1))

    def similarity(target: torch.Tensor) -> float:
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        target = target.clamp(0, 1).numpy()
        return float(structural_similarity(shown, target, channel_axis=0, data_range=1, **options))

    corners = degraded.targets[0]
    assert got.psnr_corners[1:] == pytest.approx([db(target) for target in corners[1:]], abs=1e-4)
    assert got.psnr_corners[0] == MAX_PSNR_DB  # the input is the target of the first corner
    assert got.psnr_clean == pytest.approx(db(corners[CLEAN]), abs=1e-4)
    assert got.psnr_own == pytest.approx(db(own[0]), abs=1e-4)
    assert got.ssim_clean == pytest.approx(similarity(corners[CLEAN]), abs=1e-5)
    assert got.ssim_own == pytest.approx(similarity(own[0]), abs=1e-5)
    assert got.lpips > 0
    assert mean([got, got], "psnr_clean") == got.psnr_clean


def test_clean_is_the_photograph_and_the_noise_is_not_clipped(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig
) -> None:
    degraded = degrade(photos, 1, task, config)
    wanted = photos[1].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(degraded.targets[0, CLEAN].numpy(), wanted)
    blurred = degraded.targets[:, 1]
    assert (degraded.inputs - blurred).std().item() == pytest.approx(25 / 255, rel=0.05)
    assert degraded.inputs.min() < 0


def test_noise_belongs_to_the_photograph_not_to_the_order(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig
) -> None:
    alone = degrade(photos, 1, task, config).inputs
    degrade(photos, 0, task, config)
    assert torch.equal(degrade(photos, 1, task, config).inputs, alone)
    other = degrade(photos, 1, task, config.model_copy(update={"seed": 1})).inputs
    assert not torch.equal(other, alone)
    twins = write_photos(photos.folder, [(name, photos[0]) for name in ("a.png", "b.png")])
    one, two = (degrade(twins, index, task, config).inputs for index in range(2))
    assert not torch.equal(one, two)


def test_the_crop_is_the_centre(photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig) -> None:
    cropped = degrade(photos, 0, task, config.model_copy(update={"crop_px": 20}))
    wanted = photos[0][14:34, 14:34].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(cropped.targets[0, CLEAN].numpy(), wanted)
    large = degrade(photos, 1, task, config.model_copy(update={"crop_px": 400}))
    assert large.inputs.shape == (1, 3, 48, 41)


def test_a_photograph_smaller_than_the_ssim_window_is_an_error(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig
) -> None:
    tiny = write_photos(photos.folder, [("tiny.png", np.zeros((10, 40, 3), np.uint8))])
    with pytest.raises(DataError, match=r"11 px.*tiny\.png"):
        degrade(tiny, 0, task, config)
