"""The facts of the summary on restorers whose behaviour is known."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.measure import measure
from pipelines.evaluate.scores import CLEAN, degrade
from pipelines.evaluate.summary import summarise
from pipelines.perceptual import LPIPS
from pipelines.tasks import DenoiseDeblur

Restore = Callable[[Tensor, Tensor], Tensor]


class Restorer:
    """Stands for a network: gives ``restore(targets, omega)`` of the photograph it is shown."""

    def __init__(
        self, task: DenoiseDeblur, photos: PhotoSet, config: EvaluateConfig, restore: Restore
    ) -> None:
        self.space, self._restore = task.space, restore
        self._degraded = [degrade(photos, index, task, config) for index in range(len(photos))]

    def at(self, omega: Tensor) -> Callable[[Tensor], Tensor]:
        def view(inputs: Tensor) -> Tensor:
            degraded = next(d for d in self._degraded if d.inputs.shape == inputs.shape)
            return self._restore(degraded.targets, omega)

        return view


@pytest.fixture
def summary(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig, lpips: LPIPS
) -> Callable[[Restore], dict[str, Any]]:
    def summary(restore: Restore) -> dict[str, Any]:
        network: Any = Restorer(task, photos, config, restore)
        return summarise(task.space, *measure(network, task, photos, config, lpips), config, "a trunk")

    return summary


def test_a_perfect_restorer(summary: Any, task: DenoiseDeblur) -> None:
    facts = summary(lambda targets, omega: task.blend(targets, omega.unsqueeze(0)))
    assert facts["photographs"] == 2
    assert facts["lpips_trunk"] == "a trunk"
    corners = facts["corners"]
    assert list(corners) == ["none", "denoise", "deblur", "denoise_and_deblur"]
    assert all(c["psnr_own"] == 100 and c["ssim_own"] == 1 and c["nearest_to_own"] for c in corners.values())
    assert corners["none"]["psnr_clean"] == facts["psnr_input"]
    assert corners["none"]["ssim_clean"] == facts["ssim_input"]
    assert corners["denoise_and_deblur"]["psnr_clean"] == 100
    assert corners["denoise_and_deblur"]["lpips"] == 0 < facts["lpips_input"]
    assert facts["best"] == {"denoise": 1, "deblur": 1, "psnr_clean": 100, "is_all_on": True}
    assert facts["gain_db"]["over_input"] == pytest.approx(100 - facts["psnr_input"], abs=1e-4)
    assert facts["gain_db"]["over_denoise"] == pytest.approx(100 - corners["denoise"]["psnr_clean"], abs=1e-4)
    monotonicity = facts["monotonicity"]
    assert (monotonicity["violations"], monotonicity["pairs"], monotonicity["passes"]) == (0, 16, True)
    assert monotonicity["denoise_others_high"]["pairs"] == 4


def test_sliders_that_run_backwards(summary: Any, task: DenoiseDeblur) -> None:
    facts = summary(lambda targets, omega: task.blend(targets, 1 - omega.unsqueeze(0)))
    assert (facts["best"]["denoise"], facts["best"]["deblur"]) == (0, 0)
    assert not facts["best"]["is_all_on"]
    assert not any(corner["nearest_to_own"] for corner in facts["corners"].values())
    monotonicity = facts["monotonicity"]
    assert not monotonicity["passes"]
    assert monotonicity["worst_drop_db"] > 1
    assert monotonicity["fraction"] == 1
    assert monotonicity["deblur_others_low"]["violations"] == 4


def test_dead_sliders(summary: Any) -> None:
    facts = summary(lambda targets, omega: targets[:, CLEAN])
    assert facts["best"]["is_all_on"]  # nowhere is better
    assert set(facts["gain_db"].values()) - {facts["gain_db"]["over_input"]} == {0}
    assert facts["monotonicity"]["violations"] == 0
    assert [corner["nearest_to_own"] for corner in facts["corners"].values()] == [False, False, False, True]


def test_outputs_are_clamped_before_they_are_compared(summary: Any) -> None:
    def overshooting(targets: Tensor, omega: Tensor) -> Tensor:
        clean = targets[:, CLEAN]
        return torch.where(clean == 1, 3.0, torch.where(clean == 0, -3.0, clean))

    assert summary(overshooting)["corners"]["denoise_and_deblur"]["psnr_clean"] == 100


def test_numbers_have_four_decimals(summary: Any) -> None:
    def floats(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [number for item in value.values() for number in floats(item)]
        return [value] if isinstance(value, float) else []

    numbers = floats(summary(lambda targets, omega: 0.9 * targets[:, 0]))
    assert len(numbers) > 30
    assert all(round(number, 4) == number for number in numbers)
