"""Curves along the sliders and numbers on the grid: CSV files for ``dvc plots``, and one figure.

    sliders.csv      a row for each slider, where the others are held, and position
    grid.csv         a row for each setting of the grid
    psnr_clean.csv   a column a curve, as ``dvc plots`` wants them: PSNR to the clean image
    psnr_aim.csv     the same to each slider's aim: the metric whose monotonicity is counted
    curves.png       the same for a person

All numbers are means over the test photographs. A slider's aim is the target at its upper end, where
``psnr_own`` and ``ssim_own`` compare with the target of the very setting.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.monotonicity import own_curves
from pipelines.evaluate.scores import NUMBERS, Score, Scores, mean
from pipelines.evaluate.settings import Sweep, grid, positions, sweeps
from pipelines.records import write_atomic
from tunable_models import ControlSpace

Curves = dict[Sweep, list[float]]


def write_plots(
    folder: Path, space: ControlSpace, inputs: Sequence[Score], scores: Scores, config: EvaluateConfig
) -> None:
    """Write every file of the plots into ``folder``."""
    paths = sweeps(space, config.steps)
    clean = {sweep: [mean(scores[setting], "psnr_clean") for setting in sweep.settings] for sweep in paths}
    aim = {sweep: _approach(scores, sweep) for sweep in paths}
    _write_csv(folder / "sliders.csv", ["slider", "held", "value", "psnr_aim", *NUMBERS], _along(aim, scores))
    _write_csv(folder / "grid.csv", [*space.names, *NUMBERS], _on_grid(space, scores, config.grid))
    for name, curves in (("psnr_clean", clean), ("psnr_aim", aim)):
        rows = zip(positions(config.steps), *curves.values(), strict=True)
        _write_csv(folder / f"{name}.csv", ["value", *(sweep.label for sweep in paths)], rows)
    figure = _figure(space, clean, aim, mean(inputs, "psnr_clean"))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    write_atomic(folder / "curves.png", buffer.getvalue())


def _along(aim: Curves, scores: Scores) -> Iterable[list[object]]:
    for sweep, curve in aim.items():
        for value, setting, db in zip(sweep.values, sweep.settings, curve, strict=True):
            yield [sweep.name, sweep.held, value, db, *(mean(scores[setting], name) for name in NUMBERS)]


def _on_grid(space: ControlSpace, scores: Scores, count: int) -> Iterable[list[object]]:
    for setting in grid(space, count):
        yield [*setting, *(mean(scores[setting], name) for name in NUMBERS)]


def _approach(scores: Scores, sweep: Sweep) -> list[float]:
    curves = own_curves(scores, sweep)
    return [fmean(column) for column in zip(*curves, strict=True)]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([round(v, 4) if isinstance(v, float) else v for v in row] for row in rows)
    write_atomic(path, text.getvalue().encode())


def _figure(space: ControlSpace, clean: Curves, aim: Curves, psnr_input: float) -> Figure:
    """A column a slider: above, how near the clean image; below, how much nearer its aim."""
    figure = Figure(figsize=(5.2 * len(space), 7.6), layout="constrained")
    axes = figure.subplots(2, len(space), squeeze=False)
    for column, name in enumerate(space.names):
        top, bottom = axes[0][column], axes[1][column]
        others = " and ".join(other for other in space.names if other != name)
        for sweep in (sweep for sweep in clean if sweep.control == column):
            label = f"{others} at {sweep.held:g}"
            top.plot(sweep.values, clean[sweep], marker=".", label=label)
            gained = [db - aim[sweep][0] for db in aim[sweep]]
            bottom.plot(sweep.values, gained, marker=".", label=label)
        top.axhline(psnr_input, color="grey", linestyle="--", label="the degraded input")
        _label(top, f"Turning {name}: PSNR to the clean image", name, "PSNR, dB")
        title = f"Turning {name}: approach to the target at {name} 1\n(a good slider never falls)"
        _label(bottom, title, name, "PSNR gained since 0, dB")
    return figure


def _label(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
