import csv
from pathlib import Path

import pytest

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.measure import measure
from pipelines.evaluate.monotonicity import own_curves
from pipelines.evaluate.plots import write_plots
from pipelines.evaluate.scores import mean
from pipelines.evaluate.settings import sweeps
from pipelines.perceptual import LPIPS
from pipelines.tasks import DenoiseDeblur
from tunable_models import TunableNetwork


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_hold_what_was_measured(
    network: TunableNetwork,
    task: DenoiseDeblur,
    photos: PhotoSet,
    config: EvaluateConfig,
    lpips: LPIPS,
    tmp_path: Path,
) -> None:
    inputs, scores = measure(network, task, photos, config, lpips)
    write_plots(tmp_path / "plots", task.space, inputs, scores, config)
    sliders, grid, clean, aim = (
        read(tmp_path / "plots" / f"{name}.csv") for name in ("sliders", "grid", "psnr_clean", "psnr_aim")
    )
    assert len(sliders) == 4 * config.steps
    assert len(grid) == config.grid**2
    for row in grid:
        setting = (float(row["denoise"]), float(row["deblur"]))
        assert float(row["ssim_own"]) == pytest.approx(mean(scores[setting], "ssim_own"), abs=1e-4)
    wanted = [row["psnr_clean"] for row in sliders if row["slider"] == "deblur" and row["held"] == "0.0"]
    assert [row["deblur_others_low"] for row in clean] == wanted
    assert [row["value"] for row in aim] == ["0.0", "0.5", "1.0"]
    first, second = own_curves(scores, sweeps(task.space, config.steps)[0])
    assert float(aim[1]["denoise_others_high"]) == pytest.approx((first[1] + second[1]) / 2, abs=1e-4)
    assert sliders[1]["psnr_aim"] == aim[1]["denoise_others_high"]
    assert (tmp_path / "plots" / "curves.png").read_bytes().startswith(b"\x89PNG")
