"""Scores against scikit-image, an independent implementation."""

import pytest
import torch
from evaluation import photograph_of
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipelines.data.photos import PhotoSet
from pipelines.features.lpips import LPIPS
from pipelines.measure.scores import PhotoJudge, PhotoScore, mean_number, mean_numbers, own_curves
from pipelines.measure.settings import slider_sweeps
from pipelines.tasks import DenoiseDeblur
from pipelines.tasks.distances import LIMIT_DB
from small_tasks import Enlarging, Fading, Tinting
from tunable_models import ControlSpace

TARGETS = ("input", "denoised", "deblurred", "clean")


def test_numbers_are_scikit_images(photos: PhotoSet, task: DenoiseDeblur, lpips: LPIPS) -> None:
    photograph, setting = photograph_of(task, photos), (0.25, 0.5)
    example = photograph.raw
    own = task.target(example, torch.tensor([setting]))
    got = PhotoJudge(task, photograph, lpips).score_output(example.inputs, setting)
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
    assert mean_number([got, got], "psnr_clean") == got.numbers["psnr_clean"]
    assert mean_numbers([got, got]) == pytest.approx(dict(got.numbers))


def test_a_corners_progress_is_towards_it(photos: PhotoSet, task: DenoiseDeblur, lpips: LPIPS) -> None:
    photograph = photograph_of(task, photos)
    got = PhotoJudge(task, photograph, lpips).score_output(photograph.raw.inputs, (0.0, 0.0))
    assert got.progress == pytest.approx(got.vertices[1:3], abs=1e-4)


def test_outputs_are_clamped_before_they_are_compared(
    photos: PhotoSet, task: DenoiseDeblur, lpips: LPIPS
) -> None:
    photograph = photograph_of(task, photos)
    clean = photograph.raw.targets["clean"]
    overshooting = torch.where(clean == 1, 3.0, torch.where(clean == 0, -3.0, clean))
    got = PhotoJudge(task, photograph, lpips).score_output(overshooting, (1.0, 1.0))
    assert got.numbers["psnr_clean"] == got.progress[0] == LIMIT_DB


def test_a_task_without_one_target_has_no_numbers_of_its_own_setting(photos: PhotoSet, lpips: LPIPS) -> None:
    photograph = photograph_of(Tinting(), photos)
    got = PhotoJudge(Tinting(), photograph, lpips).score_output(photograph.raw.inputs, (0.5, 0.5, 0.0))
    assert list(got.numbers) == ["psnr_clean", "ssim_clean", "lpips"]
    assert (len(got.progress), got.vertices) == (3, ())


def test_measures_of_the_task_join_and_vertices_that_ask_for_the_same_do_not_count(
    photos: PhotoSet, lpips: LPIPS
) -> None:
    photograph = photograph_of(Enlarging(), photos)
    clean = photograph.raw.targets["clean"]
    perfect = PhotoJudge(Enlarging(), photograph, lpips).score_output(clean, (1.0, 0.0))
    assert perfect.numbers["psnr_input_again"] == perfect.numbers["psnr_own"] == LIMIT_DB
    assert perfect.vertices[0] > perfect.vertices[1]
    fading = photograph_of(Fading(), photos)
    assert PhotoJudge(Fading(), fading, lpips).score_output(fading.raw.inputs, (1.0,)).vertices == ()


def test_own_curves_are_of_the_sweeps_own_slider() -> None:
    space = ControlSpace.box("denoise", "deblur")

    def score(photo: int, setting: tuple[float, ...]) -> PhotoScore:
        progress = tuple(100 * photo + 10 * control + sum(setting) for control in range(2))
        return PhotoScore(numbers={}, progress=progress)

    sweeps = slider_sweeps(space, 2)
    scores = {s: [score(0, s), score(1, s)] for sweep in sweeps for s in sweep.settings}
    curves = [[list(curve) for curve in own_curves(scores, sweep)] for sweep in sweeps]
    assert curves[0] == [[1, 2], [101, 102]]
    assert curves[1] == [[0, 1], [100, 101]]
    assert curves[3] == [[10, 11], [110, 111]]
