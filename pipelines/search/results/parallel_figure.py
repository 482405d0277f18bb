"""The figure of all completed trials: a line each over the axes and the objectives."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipelines.search.results.labels import objective_label
from pipelines.search.results.parallel import ParallelAxis, parallel_axes
from pipelines.search.trial_record import Objective, TrialRecord

COLUMN_IN, HEIGHT_IN = 1.55, 4.8
SPREAD = 0.035
"""How far trials that share a position are drawn apart, to each side."""


def draw_parallel(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> Figure:
    """The figure; the best trial is drawn last and thickest.

    Args:
        records: of the search, one completed at least.
        objectives: of the search; the first one colours the lines.
    """
    axes = parallel_axes(records, objectives)
    figure = Figure(figsize=(max(6.0, COLUMN_IN * len(axes) + 1.6), HEIGHT_IN), layout="constrained")
    axis = figure.subplots()
    values = {t.number: t.measures[objectives[0].name] for t in records if t.state == "completed"}
    # The upper end of the map is pale, and the best must not be.
    colours = ScalarMappable(
        Normalize(*_ends(values)), "viridis_r" if objectives[0].mode == "max" else "viridis"
    )
    _lines(axis, axes, values, colours, objectives[0].mode == "max")
    _scales(axis, axes)
    figure.colorbar(colours, ax=axis, label=objective_label(objectives[0]), pad=0.02)
    axis.set_title(f"{len(values)} completed trials; the best is the thick line", fontsize=10)
    return figure


def _ends(values: Mapping[int, float]) -> tuple[float, float]:
    return min(values.values()), max(values.values())


def _lines(
    axis: Axes, axes: Sequence[ParallelAxis], values: Mapping[int, float], colours: ScalarMappable, up: bool
) -> None:
    order = sorted(values, key=lambda number: values[number] if up else -values[number])
    heights = [_spread(column) if column.discrete else column.positions for column in axes]
    for number in order:
        best = number == order[-1]
        axis.plot(
            range(len(axes)),
            [column[number] for column in heights],
            color=colours.to_rgba(np.array(values[number])),
            linewidth=3.2 if best else 1.2,
            alpha=1.0 if best else 0.75,
        )


def _spread(axis: ParallelAxis) -> dict[int, float]:
    """Positions, with trials that share one drawn apart."""
    groups: dict[float, list[int]] = {}
    for number, position in axis.positions.items():
        groups.setdefault(position, []).append(number)
    return {
        number: position + shift
        for position, group in groups.items()
        for number, shift in zip(group, _shifts(len(group)), strict=True)
    }


def _shifts(count: int) -> list[float]:
    shifts: list[float] = np.linspace(-SPREAD, SPREAD, count).tolist() if count > 1 else [0.0]
    return shifts


def _scales(axis: Axes, axes: Sequence[ParallelAxis]) -> None:
    for place, column in enumerate(axes):
        axis.axvline(place, color="black", linewidth=0.8, zorder=1)
        for height, text in column.ticks:
            axis.text(
                place - 0.04,
                height,
                text,
                ha="right",
                va="center",
                fontsize=8,
                zorder=4,
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8},
            )
    axis.set_xticks(range(len(axes)), [_wrapped(column.name) for column in axes], fontsize=9)
    axis.set_yticks([])
    axis.set_xlim(-0.6, len(axes) - 0.8)
    axis.set_ylim(-0.08, 1.08)
    for side in axis.spines.values():
        side.set_visible(False)


def _wrapped(name: str) -> str:
    """A long name in two lines, broken behind the dot or an underscore about its middle."""
    breaks = [index + 1 for index, letter in enumerate(name) if letter in "._"]
    if len(name) <= 14 or not breaks:
        return name
    middle = min(breaks, key=lambda index: abs(index - len(name) / 2))
    return f"{name[:middle]}\n{name[middle:]}"
