import csv
import json
from pathlib import Path

import pytest
import yaml
from evaluation import photographs_of
from torch import Tensor

import pipelines
from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.plots import write_plots
from pipelines.features.lpips import LPIPS
from pipelines.measure.scores import mean_number, own_curves
from pipelines.measure.settings import Setting, slider_sweeps
from pipelines.measure.sliders import measure_sliders
from pipelines.measure.trained import TrainedRunner
from pipelines.tasks import DenoiseDeblur, Task
from small_tasks import Enlarging, Fading, Tinting
from tunable_models import ImageContract, TunableNetwork

ROOT = Path(pipelines.__file__).parents[1]
CURVES = "artifacts/evaluate/plots/sliders.csv"


def read_by_dvc() -> set[str]:
    """The columns of the curves that the plots of dvc.yaml and their template name."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    plots = [next(iter(plot.values())) for plot in stages["plots"] if isinstance(plot, dict)]
    ours = [plot for plot in plots if CURVES in plot["y"]]
    assert {plot["template"] for plot in ours} == {"sliders"}
    template = json.loads((ROOT / ".dvc" / "plots" / "sliders.json").read_text())
    colour: str = template["encoding"]["color"]["field"]
    return {colour, *(plot["x"] for plot in ours), *(plot["y"][CURVES] for plot in ours)}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_tables_hold_what_was_measured(
    network: TunableNetwork,
    task: DenoiseDeblur,
    photos: PhotoSet,
    config: EvaluateConfig,
    lpips: LPIPS,
    tmp_path: Path,
) -> None:
    runner = TrainedRunner(network, ImageContract())
    measured = measure_sliders(
        runner, photographs_of(task, photos), lpips, grid=config.grid, steps=config.steps
    )
    write_plots(tmp_path / "plots", task.space, measured, config)
    sliders, grid = (read(tmp_path / "plots" / f"{name}.csv") for name in ("sliders", "grid"))
    assert len(sliders) == 4 * config.steps
    assert len(grid) == config.grid**2
    for row in grid:
        setting = (float(row["denoise"]), float(row["deblur"]))
        assert float(row["ssim_own"]) == pytest.approx(
            mean_number(measured.outputs[setting], "ssim_own"), abs=1e-4
        )
    low = [row for row in sliders if row["curve"] == "deblur_others_low"]
    assert [(row["slider"], row["held"], row["position"]) for row in low] == [
        ("deblur", "low", "0.0"),
        ("deblur", "low", "0.5"),
        ("deblur", "low", "1.0"),
    ]
    first, second = own_curves(measured.outputs, slider_sweeps(task.space, config.steps)[0])
    assert float(sliders[1]["progress_db"]) == pytest.approx((first[1] + second[1]) / 2, abs=1e-4)
    assert (tmp_path / "plots" / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("task", [Fading(), Enlarging(), Tinting()])
@pytest.mark.slow
def test_columns_that_dvc_reads_are_the_same_for_every_task(
    task: Task, photos: PhotoSet, config: EvaluateConfig, lpips: LPIPS, tmp_path: Path
) -> None:
    def repeating(inputs: Tensor, setting: Setting) -> Tensor:
        return inputs.repeat_interleave(task.scale, 2).repeat_interleave(task.scale, 3)

    photographs = photographs_of(task, photos)
    measured = measure_sliders(repeating, photographs, lpips, grid=config.grid, steps=config.steps)
    write_plots(tmp_path, task.space, measured, config)
    rows = read(tmp_path / "sliders.csv")
    assert read_by_dvc() <= set(rows[0])
    assert len(read_by_dvc()) == 5
    assert {row["curve"] for row in rows} == set(task.space.names)
    matched = read(tmp_path / "matched.csv") if measured.conditions else []
    assert len(matched) == (9 if isinstance(task, Fading) else 0)
    if isinstance(task, Fading):
        assert [row["value"] for row in rows] == ["0.0", "25.0", "50.0"]
        assert [row["faced"] for row in matched[::3]] == ["0.0", "25.0", "50.0"]
        assert [row["value"] for row in matched[:3]] == ["0.0", "25.0", "50.0"]
