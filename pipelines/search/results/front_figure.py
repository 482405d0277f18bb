"""The figure of a search's front: configurations against each other, and the fronts between a task's losses.

The first panel shows every ranked configuration: its mean over seeds in the first two objectives with one
standard deviation to each side; or, with one objective, each seed of each configuration. The others show how
well the few best configurations trade a task's own objectives against each other as the sliders turn: the
normalised losses ``u_k`` at every setting of the grid, joined where no other setting of the same network is
better in both.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.search.results.configurations import Configuration
from pipelines.search.results.labels import objective_label
from pipelines.search.results.ranking import front, ranked
from pipelines.search.scoring.hypervolume import non_dominated
from pipelines.search.trial_record import Objective

PANEL_IN = (5.0, 4.0)
ROW_IN, LETTER_IN, LEGEND_IN = 0.26, 0.065, 1.0
MOST_OBJECTIVES = 4
"""Of a task, that are shown against each other."""
SHOWN, LISTED = 7, 30
"""How many configurations have a colour, and how many a row of their own."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito, told apart by colour-blind eyes: https://jfly.uni-koeln.de/color/."""
MARKERS = "osD^vPX"
GREY = "#9a9a9a"

Points = NDArray[np.float64]


def draw_front(
    configurations: Sequence[Configuration],
    objectives: Sequence[Objective],
    labels: Mapping[int, str],
    vertices: Sequence[str] = (),
) -> Figure:
    """The figure.

    Args:
        configurations: of the search, one ranked at least.
        objectives: of the search.
        labels: of the configurations, by number.
        vertices: what the K normalised losses ask for; empty numbers them.
    """
    order = ranked(configurations, objectives)
    shown = _shown(order, front(configurations, objectives))
    curves = {c.number: _losses(c) for c in shown if len(_losses(c))}
    count = max((curve.shape[1] for curve in curves.values()), default=0)
    pairs = list(combinations(range(min(count, MOST_OBJECTIVES)), 2))
    names = vertices or [f"objective {index + 1}" for index in range(count)]
    listed = [labels[c.number] for c in order[:LISTED]] if len(objectives) == 1 else []
    figure, first, others = _grid(len(pairs), listed)
    if listed:
        _strip(first, order, shown, objectives[0], listed)
    else:
        _scatter(first, order, shown, configurations, objectives)
        _legend(figure, shown, labels)
    for axis, pair in zip(others, pairs, strict=True):
        _trade(axis, shown, curves, pair, names)
    return figure


def _shown(order: Sequence[Configuration], unbeaten: Sequence[Configuration]) -> list[Configuration]:
    """The few best, those of the front before others."""
    numbers = {configuration.number for configuration in unbeaten}
    return [*unbeaten, *(c for c in order if c.number not in numbers)][:SHOWN]


def _losses(configuration: Configuration) -> Points:
    """(S, K): the normalised losses at each setting, means over the completed seeds."""
    found: dict[tuple[float, ...], list[list[float]]] = {}
    for trial in configuration.completed:
        for setting in trial.settings:
            found.setdefault(tuple(setting["omega"]), []).append(setting["objectives"])
    return np.array([np.mean(values, axis=0) for values in found.values()])


def _grid(pairs: int, listed: Sequence[str]) -> tuple[Figure, Axes, list[Axes]]:
    """A tall panel on the left, wide enough for a list of labels, and one for each pair beside it."""
    columns = ceil(pairs**0.5)
    rows = max(1, ceil(pairs / max(1, columns)))
    wide = PANEL_IN[0] + LETTER_IN * max((len(label) for label in listed), default=0)
    least = PANEL_IN[1] if pairs or not listed else 0.0
    height = max(least * rows, 1.2 + ROW_IN * len(listed))
    size = (wide + PANEL_IN[0] * columns, height if listed else height + LEGEND_IN)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(rows, 1 + columns, width_ratios=[wide] + [PANEL_IN[0]] * columns)
    first = figure.add_subplot(grid[:, 0])
    places = [grid[index // columns, 1 + index % columns] for index in range(pairs)]
    return figure, first, [figure.add_subplot(place) for place in places]


def _strip(
    axis: Axes,
    order: Sequence[Configuration],
    shown: Sequence[Configuration],
    objective: Objective,
    listed: Sequence[str],
) -> None:
    colours = _colours(shown)
    for row, configuration in enumerate(order[:LISTED]):
        colour, marker = colours.get(configuration.number, (GREY, "o"))
        values = configuration.values(objective.name)
        axis.plot(values, [row] * len(values), marker, color=colour, markersize=5, alpha=0.8)
        if len(values) > 1:
            axis.plot([fmean(values)], [row], "|", color="black", markersize=14)
    axis.set_yticks(range(len(listed)), list(listed), fontsize=8)
    axis.set_ylim(len(listed) - 0.4, -0.6)
    axis.set_xlabel(objective_label(objective))
    cut = f", the {LISTED} best of {len(order)}" if len(order) > LISTED else ""
    axis.set_title(f"Each seed, and the mean of several (bar){cut}", fontsize=10)
    axis.grid(alpha=0.3)


def _scatter(
    axis: Axes,
    order: Sequence[Configuration],
    shown: Sequence[Configuration],
    configurations: Sequence[Configuration],
    objectives: Sequence[Objective],
) -> None:
    first, second = objectives[:2]
    colours = _colours(shown)
    unbeaten = front(configurations, objectives)
    for configuration in reversed(order):
        colour, marker = colours.get(configuration.number, (GREY, "o"))
        axis.errorbar(
            [fmean(configuration.values(first.name))],
            [fmean(configuration.values(second.name))],
            xerr=[configuration.deviation(first.name) or 0.0],
            yerr=[configuration.deviation(second.name) or 0.0],
            fmt=marker,
            color=colour,
            markeredgecolor="black" if configuration in unbeaten else colour,
            elinewidth=0.8,
            markersize=7 if configuration.number in colours else 4,
            zorder=3 if configuration.number in colours else 2,
        )
    line = sorted((c.mean(first.name), c.mean(second.name)) for c in unbeaten)
    axis.plot(*zip(*line, strict=True), color="black", linewidth=1, linestyle="--", label="front", zorder=1)
    axis.set_xlabel(objective_label(first))
    axis.set_ylabel(objective_label(second))
    axis.locator_params(axis="x", nbins=5)  # numbers that hardly differ have long labels
    axis.set_title("Configurations: mean and standard deviation over seeds", fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)


def _trade(
    axis: Axes,
    shown: Sequence[Configuration],
    curves: Mapping[int, Points],
    pair: tuple[int, int],
    names: Sequence[str],
) -> None:
    colours = _colours(shown)
    for number, curve in curves.items():
        points = curve[:, pair]
        colour, marker = colours[number]
        line = points[non_dominated(points)]
        line = line[np.argsort(line[:, 0], kind="stable")]
        axis.plot(points[:, 0], points[:, 1], ".", color=colour, alpha=0.35)
        axis.plot(line[:, 0], line[:, 1], marker=marker, markersize=5, color=colour, linewidth=1.3)
    axis.set_xlabel(f"normalised loss, {names[pair[0]]}")
    axis.set_ylabel(f"normalised loss, {names[pair[1]]}")
    axis.set_title("What the sliders trade (lower left is better)", fontsize=10)
    axis.grid(alpha=0.3)


def _colours(shown: Sequence[Configuration]) -> dict[int, tuple[str, str]]:
    return {c.number: style for c, style in zip(shown, zip(COLOURS, MARKERS, strict=True), strict=False)}


def _legend(figure: Figure, shown: Sequence[Configuration], labels: Mapping[int, str]) -> None:
    axis = figure.axes[0]
    handles = [
        axis.plot([], [], marker, color=colour, label=labels[number])[0]
        for number, (colour, marker) in _colours(shown).items()
    ]
    longest = max(len(labels[configuration.number]) for configuration in shown)
    columns = 1 if longest > 60 else 2 if longest > 36 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
