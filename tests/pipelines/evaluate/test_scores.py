"""Scores against scikit-image, an independent implementation."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.degraded import degrade
from pipelines.evaluate.scores import Judge, mean, means
from pipelines.features.lpips import LPIPS
from pipelines.tasks import DenoiseDeblur
from pipelines.tasks.decibels import LIMIT_DB
from small_tasks import Enlarging, Fading, Tinting

TARGETS = ("input", "denoised", "deblurred", "clean")


def test_numbers_are_scikit_images(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig, lpips: LPIPS
) -> None:
    example, setting = degrade(photos, 0, task, config), (0.25, 0.5)
    own = task.aim(example, torch.tensor([setting]))
    got = Judge(task, example, lpips).score(example.inputs, setting)
    seen = example.inputs[0].clamp(0, 1).numpy()

    def db(target: torch.Tensor) -> float:
        return float(peak_signal_noise_ratio(target[0].clamp(0, 1).numpy(), seen, data_range=1))

    def similarity(target: torch.Tensor) -> float:
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        target = target[0].clamp(0, 1).numpy()
        return float(structural_similarity(seen, target, channel_axis=0, data_range=1, **options))

    corners = [example.targets[name] for name in TARGETS]
    assert got.vertices[1:] == pytest.approx([db(target) for target in corners[1:]], abs=1e-4)
    assert got.vertices[0] == LIMIT_DB  # the input is what the first corner asks for
    assert got.numbers["psnr_clean"] == pytest.approx(db(corners[-1]), abs=1e-4)
    assert got.numbers["psnr_own"] == pytest.approx(db(own), abs=1e-4)
    assert got.numbers["ssim_clean"] == pytest.approx(similarity(corners[-1]), abs=1e-5)
    assert got.numbers["ssim_own"] == pytest.approx(similarity(own), abs=1e-5)
    assert got.numbers["lpips"] > 0
    assert mean([got, got], "psnr_clean") == got.numbers["psnr_clean"]
    assert means([got, got]) == pytest.approx(dict(got.numbers))


def test_a_corners_progress_is_towards_it(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig, lpips: LPIPS
) -> None:
    example = degrade(photos, 0, task, config)
    got = Judge(task, example, lpips).score(example.inputs, (0.0, 0.0))
    assert got.progress == pytest.approx(got.vertices[1:3], abs=1e-4)


def test_outputs_are_clamped_before_they_are_compared(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig, lpips: LPIPS
) -> None:
    example = degrade(photos, 0, task, config)
    clean = example.targets["clean"]
    overshooting = torch.where(clean == 1, 3.0, torch.where(clean == 0, -3.0, clean))
    got = Judge(task, example, lpips).score(overshooting, (1.0, 1.0))
    assert got.numbers["psnr_clean"] == got.progress[0] == LIMIT_DB


def test_a_task_without_one_aim_has_no_numbers_of_its_own_setting(
    photos: PhotoSet, config: EvaluateConfig, lpips: LPIPS
) -> None:
    example = degrade(photos, 0, Tinting(), config)
    got = Judge(Tinting(), example, lpips).score(example.inputs, (0.5, 0.5, 0.0))
    assert list(got.numbers) == ["psnr_clean", "ssim_clean", "lpips"]
    assert (len(got.progress), got.vertices) == (3, ())


def test_measures_of_the_task_join_and_vertices_that_ask_for_the_same_do_not_count(
    photos: PhotoSet, config: EvaluateConfig, lpips: LPIPS
) -> None:
    example = degrade(photos, 0, Enlarging(), config)
    perfect = Judge(Enlarging(), example, lpips).score(example.targets["clean"], (1.0, 0.0))
    assert perfect.numbers["psnr_input_again"] == perfect.numbers["psnr_own"] == LIMIT_DB
    assert perfect.vertices[0] > perfect.vertices[1]
    fading = degrade(photos, 0, Fading(), config)
    assert Judge(Fading(), fading, lpips).score(fading.inputs, (1.0,)).vertices == ()
