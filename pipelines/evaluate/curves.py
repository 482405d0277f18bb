"""The figure of the curves: a column a slider, a row a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.measure.settings import Sweep
from tunable_models import ControlSpace

COLUMN_IN, ROW_IN = 5.2, 3.4


@dataclass(frozen=True)
class Curves:
    """One number along every sweep.

    Attributes:
        title: what it is, with its unit.
        values: of each sweep, one a position.
        input: of the degraded input, drawn as a line; None without one.
    """

    title: str
    values: Mapping[Sweep, Sequence[float]]
    input: float | None = None


def draw(space: ControlSpace, rows: Sequence[Curves]) -> Figure:
    """The figure."""
    figure = Figure(figsize=(COLUMN_IN * len(space), ROW_IN * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(space), squeeze=False, sharex="col")
    for row, curves in enumerate(rows):
        for column in range(len(space)):
            _panel(axes[row][column], space, column, curves)
    for column, control in enumerate(space.controls):
        axes[0][column].set_title(f"Turning {control.name}")
        unit = f", {control.unit}" if control.unit else ""
        axes[-1][column].set_xlabel(f"{control.name}{unit}")
    return figure


def held(space: ControlSpace, sweep: Sweep) -> str:
    """What the other sliders do, in words; empty if there are none."""
    others = " and ".join(name for name in space.names if name != sweep.name)
    ends = {"high": "at their upper end", "low": "at their lower end", "share": "sharing the rest"}
    words = ends[sweep.held] if sweep.held else ""
    return f"{others} {words if len(space) > 2 else words.replace('their', 'its')}" if words else ""


def _panel(axis: Axes, space: ControlSpace, column: int, curves: Curves) -> None:
    control = space.controls[column]
    for sweep in (sweep for sweep in curves.values if sweep.control == column):
        values = [control.to_native(value) for value in sweep.values]
        axis.plot(values, curves.values[sweep], marker=".", label=held(space, sweep))
    if curves.input is not None:
        axis.axhline(curves.input, color="grey", linestyle="--", label="the degraded input")
    if column == 0:
        axis.set_ylabel(curves.title)
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[1]:
        axis.legend(frameon=False)
