"""Curves along the sliders and numbers on the grid: CSV files for ``dvc plots``, and one figure.

    sliders.csv      a row for each curve (a slider, and where the others are held) and position
    grid.csv         a row for each setting of the grid
    matched.csv      of condition controls: a row for each strength and setting
    curves.png       the curves for a person: a column a slider, a row a number

The columns that ``dvc plots`` reads are the same for every task. All numbers are means over the test
photographs; ``progress_db`` is the slider's own metric, whose monotonicity is counted.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.core.records import write_atomic
from pipelines.evaluate.config import EvaluateConfig
from pipelines.measure.scores import mean_number, mean_numbers, own_curves
from pipelines.measure.settings import Sweep, grid_settings, native_values, slider_sweeps
from pipelines.measure.sliders import SliderScores
from tunable_models import ControlSpace

FIGURE = (("PSNR to the clean image, dB", "psnr_clean"), ("LPIPS to the clean image", "lpips"))
MATCHED = ["control", "faced", "value", "psnr_input", "psnr_clean"]
COLUMN_IN, ROW_IN = 5.2, 3.4


def write_plots(folder: Path, space: ControlSpace, measured: SliderScores, config: EvaluateConfig) -> None:
    """Write every file of the plots into ``folder``."""
    scores, sweeps = measured.outputs, slider_sweeps(space, config.steps)
    numbers = list(scores[space.vertices[0]][0].numbers)
    progress = {s: [fmean(column) for column in zip(*own_curves(scores, s), strict=True)] for s in sweeps}
    head = ["curve", "slider", "held", "position", "value", "progress_db", *numbers]
    _write_csv(folder / "sliders.csv", head, _sweep_rows(space, progress, measured))
    grid = [
        [*native_values(space, setting).values(), *mean_numbers(scores[setting]).values()]
        for setting in grid_settings(space, config.grid)
    ]
    _write_csv(folder / "grid.csv", [*space.names, *numbers], grid)
    if measured.conditions:
        _write_csv(folder / "matched.csv", MATCHED, _condition_rows(space, measured))
    rows = [_CurveRow("the slider's own metric, dB", progress)]
    for title, number in FIGURE:
        values = {sweep: [mean_number(scores[s], number) for s in sweep.settings] for sweep in sweeps}
        rows.append(_CurveRow(title, values, mean_number(measured.inputs, number)))
    buffer = io.BytesIO()
    _draw_curves(space, rows).savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    write_atomic(folder / "curves.png", buffer.getvalue())


def _sweep_rows(
    space: ControlSpace, progress: Mapping[Sweep, list[float]], measured: SliderScores
) -> Iterable[list[object]]:
    for sweep, curve in progress.items():
        for position, setting, db in zip(sweep.values, sweep.settings, curve, strict=True):
            value, means = native_values(space, setting)[sweep.name], mean_numbers(measured.outputs[setting])
            yield [sweep.label, sweep.name, sweep.held, position, value, db, *means.values()]


def _condition_rows(space: ControlSpace, measured: SliderScores) -> Iterable[list[object]]:
    for condition, scores in measured.conditions.items():
        values = [native_values(space, setting)[condition.name] for setting in condition.settings]
        psnr_input = fmean(score.psnr_input for score in scores)
        columns = zip(*(score.psnr for score in scores), strict=True)
        for value, column in zip(values, columns, strict=True):
            yield [condition.name, values[condition.truth], value, psnr_input, fmean(column)]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([round(v, 4) if isinstance(v, float) else v for v in row] for row in rows)
    write_atomic(path, text.getvalue().encode())


@dataclass(frozen=True)
class _CurveRow:
    """One row of the figure: a number along every sweep.

    Attributes:
        title: the number, with its unit.
        values: of each sweep, one a position.
        input: of the degraded input, drawn as a line; None without one.
    """

    title: str
    values: Mapping[Sweep, Sequence[float]]
    input: float | None = None


def _draw_curves(space: ControlSpace, rows: Sequence[_CurveRow]) -> Figure:
    figure = Figure(figsize=(COLUMN_IN * len(space), ROW_IN * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(space), squeeze=False, sharex="col")
    for row, curves in enumerate(rows):
        for column in range(len(space)):
            _draw_panel(axes[row][column], space, column, curves)
    for column, control in enumerate(space.controls):
        axes[0][column].set_title(f"Turning {control.name}")
        unit = f", {control.unit}" if control.unit else ""
        axes[-1][column].set_xlabel(f"{control.name}{unit}")
    return figure


def _draw_panel(axis: Axes, space: ControlSpace, column: int, curves: _CurveRow) -> None:
    control = space.controls[column]
    for sweep in (sweep for sweep in curves.values if sweep.control == column):
        values = [control.to_native(value) for value in sweep.values]
        axis.plot(values, curves.values[sweep], marker=".", label=_describe_held(space, sweep))
    if curves.input is not None:
        axis.axhline(curves.input, color="grey", linestyle="--", label="the degraded input")
    if column == 0:
        axis.set_ylabel(curves.title)
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[1]:
        axis.legend(frameon=False)


def _describe_held(space: ControlSpace, sweep: Sweep) -> str:
    """Where the other sliders are, in words; empty if there are none."""
    others = " and ".join(name for name in space.names if name != sweep.name)
    ends = {"high": "at their upper end", "low": "at their lower end", "share": "sharing the rest"}
    words = ends[sweep.held] if sweep.held else ""
    return f"{others} {words if len(space) > 2 else words.replace('their', 'its')}" if words else ""
