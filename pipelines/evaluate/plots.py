"""Curves along the sliders and numbers on the grid: CSV files for ``dvc plots``, and one figure.

    sliders.csv      a row for each curve (a slider, and where the others are held) and position
    grid.csv         a row for each setting of the grid
    matched.csv      of condition controls: a row for each strength and setting
    curves.png       the curves for a person

The columns that ``dvc plots`` reads are the same for every task. All numbers are means over the test
photographs; ``progress_db`` is the slider's own metric, whose monotonicity is counted.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from pipelines.core.records import write_atomic
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.curves import Curves, draw
from pipelines.evaluate.measure import Measured
from pipelines.evaluate.own_curves import own_curves
from pipelines.evaluate.scores import Scores, mean, means, names
from pipelines.measure.settings import Sweep, grid, native, sweeps
from tunable_models import ControlSpace


def write_plots(folder: Path, space: ControlSpace, measured: Measured, config: EvaluateConfig) -> None:
    """Write every file of the plots into ``folder``."""
    numbers = names(measured.scores[space.vertices[0]])
    paths = sweeps(space, config.steps)
    progress = {sweep: _progress(measured.scores, sweep) for sweep in paths}
    head = ["curve", "slider", "held", "position", "value", "progress_db", *numbers]
    _write_csv(folder / "sliders.csv", head, _along(space, progress, measured.scores))
    _write_csv(folder / "grid.csv", [*space.names, *numbers], _on_grid(space, measured.scores, config.grid))
    if measured.matched:
        _write_csv(folder / "matched.csv", MATCHED, _matched(space, measured))
    curves = [_curves(title, number, paths, measured) for title, number in FIGURE]
    figure = draw(space, [Curves("the slider's own metric, dB", progress), *curves])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    write_atomic(folder / "curves.png", buffer.getvalue())


FIGURE = (("PSNR to the clean image, dB", "psnr_clean"), ("LPIPS to the clean image", "lpips"))
MATCHED = ["control", "faced", "value", "psnr_input", "psnr_clean"]


def _curves(title: str, number: str, paths: Sequence[Sweep], measured: Measured) -> Curves:
    values = {sweep: [mean(measured.scores[s], number) for s in sweep.settings] for sweep in paths}
    return Curves(title, values, mean(measured.inputs, number))


def _along(space: ControlSpace, progress: dict[Sweep, list[float]], scores: Scores) -> Iterable[list[object]]:
    for sweep, curve in progress.items():
        for position, setting, db in zip(sweep.values, sweep.settings, curve, strict=True):
            value = native(space, setting)[sweep.name]
            yield [
                sweep.label,
                sweep.name,
                sweep.held,
                position,
                value,
                db,
                *means(scores[setting]).values(),
            ]


def _on_grid(space: ControlSpace, scores: Scores, count: int) -> Iterable[list[object]]:
    for setting in grid(space, count):
        yield [*native(space, setting).values(), *means(scores[setting]).values()]


def _matched(space: ControlSpace, measured: Measured) -> Iterable[list[object]]:
    for face, matches in measured.matched.items():
        values = [native(space, setting)[face.name] for setting in face.settings]
        psnr_input = fmean(match.psnr_input for match in matches)
        columns = zip(*(match.psnr for match in matches), strict=True)
        for value, column in zip(values, columns, strict=True):
            yield [face.name, values[face.truth], value, psnr_input, fmean(column)]


def _progress(scores: Scores, sweep: Sweep) -> list[float]:
    return [fmean(column) for column in zip(*own_curves(scores, sweep), strict=True)]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([round(v, 4) if isinstance(v, float) else v for v in row] for row in rows)
    write_atomic(path, text.getvalue().encode())
