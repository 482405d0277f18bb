"""The figure of a search's front: configurations compared, and the trade-offs between a task's losses.

The first panel shows every ranked configuration: mean and standard deviation over seeds in the first two
objectives; or, with one objective, each seed of each configuration. The others show how well the few best
configurations trade a task's own objectives as the sliders turn: the normalized losses ``u_k`` at every
setting of the grid, with a line through the settings that no other of the same network dominates.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.measure.hypervolume import non_dominated
from pipelines.search.results.configurations import Configuration, find_front, rank_configurations
from pipelines.search.trial import Objective

PANEL_IN = (5.0, 4.0)
ROW_IN, LETTER_IN, LEGEND_IN = 0.26, 0.065, 1.0
MOST_OBJECTIVES = 4
"""How many losses of a task are plotted against each other."""
SHOWN, LISTED = 7, 30
"""How many configurations are colored, and how many get a row of their own."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The color-blind safe palette of Okabe and Ito: https://jfly.uni-koeln.de/color/."""
MARKERS = "osD^vPX"
GRAY = "#9a9a9a"
DECIBELS = ("psnr_own", "range_db", "specialist_gap_mean", "specialist_gap_worst")

Points = NDArray[np.float64]


def draw_front(
    configurations: Sequence[Configuration],
    objectives: Sequence[Objective],
    labels: Mapping[int, str],
    vertices: Sequence[str] = (),
) -> Figure:
    """Draw the figure.

    Args:
        configurations: of the search, at least one of them ranked.
        objectives: of the search.
        labels: of the configurations, by number.
        vertices: names of the K normalized losses; empty numbers them.
    """
    order = rank_configurations(configurations, objectives)
    shown = _select_shown(order, find_front(configurations, objectives))
    curves = {c.number: _mean_losses(c) for c in shown if len(_mean_losses(c))}
    count = max((curve.shape[1] for curve in curves.values()), default=0)
    pairs = list(combinations(range(min(count, MOST_OBJECTIVES)), 2))
    names = vertices or [f"objective {index + 1}" for index in range(count)]
    listed = [labels[c.number] for c in order[:LISTED]] if len(objectives) == 1 else []
    figure, first, others = _make_panels(len(pairs), listed)
    if listed:
        _plot_seeds(first, order, shown, objectives[0], listed)
    else:
        _plot_objectives(first, order, shown, configurations, objectives)
        _add_legend(figure, shown, labels)
    for axis, pair in zip(others, pairs, strict=True):
        _plot_losses(axis, shown, curves, pair, names)
    return figure


def _select_shown(order: Sequence[Configuration], unbeaten: Sequence[Configuration]) -> list[Configuration]:
    """The few best, the front first."""
    numbers = {configuration.number for configuration in unbeaten}
    return [*unbeaten, *(c for c in order if c.number not in numbers)][:SHOWN]


def _mean_losses(configuration: Configuration) -> Points:
    """(S, K) normalized losses at each setting, averaged over the completed seeds."""
    found: dict[tuple[float, ...], list[list[float]]] = {}
    for trial in configuration.completed:
        for setting in trial.settings:
            found.setdefault(tuple(setting["omega"]), []).append(setting["objectives"])
    return np.array([np.mean(values, axis=0) for values in found.values()])


def _make_panels(pairs: int, listed: Sequence[str]) -> tuple[Figure, Axes, list[Axes]]:
    """A tall panel on the left, wide enough for the labels, and one for each pair of losses beside it."""
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


def _plot_seeds(
    axis: Axes,
    order: Sequence[Configuration],
    shown: Sequence[Configuration],
    objective: Objective,
    listed: Sequence[str],
) -> None:
    styles = _assign_styles(shown)
    for row, configuration in enumerate(order[:LISTED]):
        color, marker = styles.get(configuration.number, (GRAY, "o"))
        values = configuration.values(objective.name)
        axis.plot(values, [row] * len(values), marker, color=color, markersize=5, alpha=0.8)
        if len(values) > 1:
            axis.plot([fmean(values)], [row], "|", color="black", markersize=14)
    axis.set_yticks(range(len(listed)), list(listed), fontsize=8)
    axis.set_ylim(len(listed) - 0.4, -0.6)
    axis.set_xlabel(_label_objective(objective))
    cut = f", the {LISTED} best of {len(order)}" if len(order) > LISTED else ""
    axis.set_title(f"Each seed, and the mean of several (bar){cut}", fontsize=10)
    axis.grid(alpha=0.3)


def _plot_objectives(
    axis: Axes,
    order: Sequence[Configuration],
    shown: Sequence[Configuration],
    configurations: Sequence[Configuration],
    objectives: Sequence[Objective],
) -> None:
    first, second = objectives[:2]
    styles = _assign_styles(shown)
    unbeaten = find_front(configurations, objectives)
    for configuration in reversed(order):
        color, marker = styles.get(configuration.number, (GRAY, "o"))
        axis.errorbar(
            [fmean(configuration.values(first.name))],
            [fmean(configuration.values(second.name))],
            xerr=[configuration.deviation(first.name) or 0.0],
            yerr=[configuration.deviation(second.name) or 0.0],
            fmt=marker,
            color=color,
            markeredgecolor="black" if configuration in unbeaten else color,
            elinewidth=0.8,
            markersize=7 if configuration.number in styles else 4,
            zorder=3 if configuration.number in styles else 2,
        )
    line = sorted((c.mean(first.name), c.mean(second.name)) for c in unbeaten)
    axis.plot(*zip(*line, strict=True), color="black", linewidth=1, linestyle="--", label="front", zorder=1)
    axis.set_xlabel(_label_objective(first))
    axis.set_ylabel(_label_objective(second))
    axis.locator_params(axis="x", nbins=5)  # numbers that hardly differ have long labels
    axis.set_title("Configurations: mean and standard deviation over seeds", fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)


def _plot_losses(
    axis: Axes,
    shown: Sequence[Configuration],
    curves: Mapping[int, Points],
    pair: tuple[int, int],
    names: Sequence[str],
) -> None:
    styles = _assign_styles(shown)
    for number, curve in curves.items():
        points = curve[:, pair]
        color, marker = styles[number]
        line = points[non_dominated(points)]
        line = line[np.argsort(line[:, 0], kind="stable")]
        axis.plot(points[:, 0], points[:, 1], ".", color=color, alpha=0.35)
        axis.plot(line[:, 0], line[:, 1], marker=marker, markersize=5, color=color, linewidth=1.3)
    axis.set_xlabel(f"normalized loss, {names[pair[0]]}")
    axis.set_ylabel(f"normalized loss, {names[pair[1]]}")
    axis.set_title("What the sliders trade (lower left is better)", fontsize=10)
    axis.grid(alpha=0.3)


def _assign_styles(shown: Sequence[Configuration]) -> dict[int, tuple[str, str]]:
    return {c.number: style for c, style in zip(shown, zip(COLORS, MARKERS, strict=True), strict=False)}


def _add_legend(figure: Figure, shown: Sequence[Configuration], labels: Mapping[int, str]) -> None:
    axis = figure.axes[0]
    handles = [
        axis.plot([], [], marker, color=color, label=labels[number])[0]
        for number, (color, marker) in _assign_styles(shown).items()
    ]
    longest = max(len(labels[configuration.number]) for configuration in shown)
    columns = 1 if longest > 60 else 2 if longest > 36 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def _label_objective(objective: Objective) -> str:
    """Name, unit and direction of an objective."""
    unit = ", dB" if objective.name in DECIBELS else ""
    better = "larger" if objective.mode == "max" else "smaller"
    return f"{objective.name}{unit} ({better} is better)"
