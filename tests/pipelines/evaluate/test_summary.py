"""The facts of the summary on restorers whose behaviour is known."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from evaluation import photographs_of
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.summary import select_metrics, summarize
from pipelines.features.lpips import LPIPS
from pipelines.measure.photographs import Photographs
from pipelines.measure.settings import Setting
from pipelines.measure.sliders import measure_sliders
from pipelines.tasks import DenoiseDeblur, Example, Task
from small_tasks import Enlarging, Fading, Tinting

Restore = Callable[[Example, Tensor], Tensor]


class Restorer:
    """Stands for a network: gives ``restore(example, omega)`` of the photograph it is shown."""

    def __init__(self, photographs: Photographs, restore: Restore) -> None:
        self._restore = restore
        self._examples = [photographs.degrade(number) for number in range(len(photographs))]

    def __call__(self, inputs: Tensor, setting: Setting) -> Tensor:
        example = next(e for e in self._examples if e.inputs.shape == inputs.shape)
        return self._restore(Example(inputs, example.targets), torch.tensor([setting]))


@pytest.fixture
def summary(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig, lpips: LPIPS
) -> Callable[..., Any]:
    def summary(restore: Restore, of: Task = task) -> dict[str, Any]:
        photographs = photographs_of(of, photos)
        runner = Restorer(photographs, restore)
        measured = measure_sliders(runner, photographs, lpips, grid=config.grid, steps=config.steps)
        return summarize(of, measured, config, "a trunk")

    return summary


def test_a_perfect_restorer(summary: Any, task: DenoiseDeblur) -> None:
    facts = summary(task.target)
    assert (facts["task"], facts["photographs"], facts["lpips_trunk"]) == ("denoise-deblur", 2, "a trunk")
    assert facts["levels"] == {"noise_sigma": 25, "blur_sigma": 1.5}
    corners = facts["vertices"]
    assert list(corners) == ["none", "denoise", "deblur", "denoise_and_deblur"]
    assert all(c["psnr_own"] == 100 and c["ssim_own"] == 1 and c["nearest_to_own"] for c in corners.values())
    assert corners["none"]["psnr_clean"] == facts["psnr_input"]
    assert corners["none"]["ssim_clean"] == facts["ssim_input"]
    assert corners["denoise_and_deblur"]["psnr_clean"] == 100
    assert corners["denoise_and_deblur"]["lpips"] == 0 < facts["lpips_input"]
    assert facts["default"]["at"] == facts["best"]["at"] == {"denoise": 1, "deblur": 1}
    test = select_metrics(facts)["test"]
    assert (test["psnr"], test["ssim"], test["lpips"]) == (100, 1, 0)
    assert test["gain_db"] == pytest.approx(100 - facts["psnr_input"], abs=2e-4)
    assert (test["violations"], test["sliders_alive"]) == (0, True)
    assert test["least_rise_db"] == min(facts["sliders"]["range_db"].values()) > 0
    assert facts["default"]["psnr_clean"] == facts["best"]["psnr_clean"] == 100
    assert facts["best"]["is_all_on"]
    assert facts["best"]["by_lpips"] == {"at": {"denoise": 1, "deblur": 1}, "lpips": 0}
    assert facts["gain_db"]["over_input"] == pytest.approx(100 - facts["psnr_input"], abs=1e-4)
    assert facts["gain_db"]["over_denoise"] == pytest.approx(100 - corners["denoise"]["psnr_clean"], abs=1e-4)
    assert "over_denoise_and_deblur" not in facts["gain_db"]
    monotonicity = facts["monotonicity"]
    assert (monotonicity["violations"], monotonicity["pairs"], monotonicity["passes"]) == (0, 16, True)
    assert monotonicity["denoise_others_high"]["pairs"] == 4
    assert (facts["sliders"]["alive"], facts["sliders"]["dead"]) == (True, [])
    assert min(facts["sliders"]["range_db"].values()) > 10
    assert "matched" not in facts


def test_sliders_that_run_backwards(summary: Any, task: DenoiseDeblur) -> None:
    facts = summary(lambda example, omega: task.target(example, 1 - omega))
    assert facts["best"]["at"] == {"denoise": 0, "deblur": 0}
    assert not facts["best"]["is_all_on"]
    assert not any(corner["nearest_to_own"] for corner in facts["vertices"].values())
    monotonicity = facts["monotonicity"]
    assert not monotonicity["passes"]
    assert monotonicity["worst_drop_db"] > 1
    assert monotonicity["fraction"] == 1
    assert monotonicity["deblur_others_low"]["violations"] == 4
    assert not facts["sliders"]["alive"]


def test_dead_sliders_never_fall_and_are_reported(summary: Any) -> None:
    facts = summary(lambda example, omega: example.targets["clean"])
    assert facts["best"]["is_all_on"]  # nowhere is better
    assert set(facts["gain_db"].values()) - {facts["gain_db"]["over_input"]} == {0}
    assert facts["monotonicity"]["violations"] == 0
    assert facts["sliders"]["dead"] == [
        "denoise_others_high",
        "denoise_others_low",
        "deblur_others_high",
        "deblur_others_low",
    ]
    assert not facts["sliders"]["alive"]
    assert [c["nearest_to_own"] for c in facts["vertices"].values()] == [False, False, False, True]


def test_one_dead_slider_among_two(summary: Any, task: DenoiseDeblur) -> None:
    facts = summary(lambda example, omega: task.target(example, omega * torch.tensor([1.0, 0.0])))
    assert facts["sliders"]["dead"] == ["deblur_others_high", "deblur_others_low"]


def test_two_that_share_a_sum_at_scale_4(summary: Any) -> None:
    task = Enlarging()
    facts = summary(task.target, task)
    assert list(facts["vertices"]) == ["plain", "dark"]
    assert all(vertex["nearest_to_own"] for vertex in facts["vertices"].values())
    assert (
        facts["vertices"]["plain"]["psnr_input_again"] == 100 > facts["vertices"]["dark"]["psnr_input_again"]
    )
    assert facts["default"]["at"] == {"plain": 0.75, "dark": 0.25}
    assert facts["best"]["at"] == {"plain": 1, "dark": 0}
    assert "is_all_on" not in facts["best"]
    assert facts["gain_db"]["over_plain"] < 0 < facts["gain_db"]["over_dark"]
    assert facts["monotonicity"]["pairs"] == 2 * 2 * 2
    assert (facts["monotonicity"]["violations"], facts["sliders"]["alive"]) == (0, True)
    assert 10 < facts["psnr_input"] < 100


def test_three_without_one_target(summary: Any) -> None:
    facts = summary(lambda example, omega: example.inputs * omega[0][:, None, None], Tinting())
    assert list(facts["vertices"]) == ["red", "green", "blue"]
    assert list(facts["vertices"]["red"]) == ["psnr_clean", "ssim_clean", "lpips"]
    assert facts["levels"] == {}
    assert (facts["psnr_input"], facts["lpips_input"]) == (100, 0)
    assert (facts["monotonicity"]["passes"], facts["sliders"]["alive"]) == (True, True)


def test_a_condition_control(summary: Any) -> None:
    facts = summary(lambda example, omega: example.inputs / (1 - omega[0, 0] / 2), Fading())
    assert facts["default"]["at"] == {"light": 25}
    assert facts["best"]["at"] == {"light": 50}  # the test pictures are as dark as that
    assert "nearest_to_own" not in facts["vertices"]["none"]
    assert facts["sliders"]["range_db"] == {"light": pytest.approx(3.01, abs=0.2)}
    matched = facts["matched"]
    assert (matched["best_where_matched"], matched["worst_loss_to_best_db"]) == (3, 0)
    assert [row["value"] for row in matched["positions"]] == [0, 25, 50]


def test_numbers_have_four_decimals(summary: Any) -> None:
    def floats(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [number for item in value.values() for number in floats(item)]
        if isinstance(value, list):
            return [number for item in value for number in floats(item)]
        return [value] if isinstance(value, float) else []

    numbers = floats(summary(lambda example, omega: 0.9 * example.inputs))
    numbers += floats(summary(lambda example, omega: 0.9 * example.inputs, Fading()))
    assert len(numbers) > 60
    assert all(round(number, 4) == number for number in numbers)
