from typing import Any

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.tasks import RealWorldConfig
from tiny_tasks import tiny_task
from tunable_models import psnr

# Grey, because JPEG halves the resolution of colour at any quality.
COARSE = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))
CLEAN = torch.nn.functional.interpolate(COARSE, size=(48, 48), mode="bilinear").expand(-1, 3, -1, -1)


def test_each_target_lacks_one_fault() -> None:
    task = tiny_task("real-world")
    targets = task.degrade(CLEAN, {"noise_sigma": 20.0, "jpeg_quality": 20}, (0,)).targets
    noisy = (targets["uncompressed"] - CLEAN).std((1, 2, 3)) * 255
    assert (noisy > 12).all()
    both, one = psnr(targets["input"], CLEAN), psnr(targets["denoised"], CLEAN)
    assert (one > both + 3).all()  # JPEG alone does little to a smooth picture
    assert (targets["denoised"] - CLEAN).abs().amax((1, 2, 3)).min() > 0


def test_stronger_levels_do_more_harm() -> None:
    task = tiny_task("real-world")
    faults = [
        psnr(task.degrade(CLEAN, {"noise_sigma": s, "jpeg_quality": q}, (0,)).inputs, CLEAN).mean().item()
        for s, q in ((0.0, 95), (5.0, 95), (20.0, 95))
    ]
    assert faults == sorted(faults, reverse=True)
    compressed = [
        psnr(task.degrade(CLEAN, {"noise_sigma": 0.0, "jpeg_quality": q}, (0,)).inputs, CLEAN).mean().item()
        for q in (95, 50, 10)
    ]
    assert compressed == sorted(compressed, reverse=True)


def test_draws_stay_in_their_ranges_and_differ() -> None:
    task = tiny_task("real-world", noise_sigma=(0.0, 0.0), jpeg_quality=(100, 100))
    example = task.sample(CLEAN, torch.rand(2, 2), [(0, 0), (0, 1)])
    torch.testing.assert_close(example.targets["uncompressed"], CLEAN, atol=0.5 / 255 + 1e-6, rtol=0)
    assert (example.inputs - CLEAN).abs().max() < 4 / 255


def test_a_share_of_the_samples_has_no_noise_and_another_no_jpeg() -> None:
    task = tiny_task("real-world", noise_sigma=(20.0, 20.0), jpeg_quality=(10, 10), clean_share=0.5)
    targets = task.sample(
        CLEAN[:1].expand(64, -1, -1, -1), torch.rand(64, 2), [(0, n) for n in range(64)]
    ).targets
    clean = targets["clean"]

    def untouched(picture: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        return (picture - original).abs().amax((1, 2, 3)) < 0.6 / 255

    without_noise = untouched(targets["uncompressed"], clean)
    without_jpeg = untouched(targets["denoised"], clean)
    assert 16 < without_noise.sum() < 48
    assert 16 < without_jpeg.sum() < 48
    assert 4 < (without_noise & without_jpeg).sum() < 28
    assert torch.equal(untouched(targets["input"], targets["uncompressed"]), without_jpeg)


@pytest.mark.parametrize(
    "values",
    [
        {"clean_share": 1.0},
        {"jpeg_quality": [0, 50]},
        {"jpeg_quality": [50, 20]},
        {"noise_sigma": [0.0, 500.0]},
    ],
)
def test_impossible_options_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        parse_section(values, "task", RealWorldConfig)
