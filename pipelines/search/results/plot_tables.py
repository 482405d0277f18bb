"""CSV files for ``dvc plots``; their columns are the same for every search except for the objectives.

trials.csv       a row for each completed trial of a ranked configuration, the best first: ``label`` and
                 ``place`` of the configuration, ``trial``, ``seed``, ``objective`` (value of the first one),
                 and for each objective its value and ``<objective>_mean`` over the configuration's seeds
parallel.csv     parallel coordinates, a row for each completed trial and axis: ``position`` 0..1 on the axis,
                 ``label`` of the value, ``tick`` (the label where it is to be drawn, once for each position),
                 ``objective`` (value of the first one)

Numbers are spaced evenly, or evenly in the logarithm where they are positive and span a factor of ten; any
other values are spaced evenly. Where an axis does not apply to some trials, these are at 0 and all values
above ``FLOOR``.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from numbers import Real
from typing import Any

import pandas as pd

from pipelines.search.axes import Point
from pipelines.search.results.configurations import (
    Configuration,
    list_axes,
    parent_axis,
    sort_trials,
    varying_axes,
)
from pipelines.search.trial import Objective, TrialRecord

FLOOR = 0.15
MISSING = "n/a"
FEW = 6
"""Up to this many distinct numbers are all labeled on their axis; of more, the ends alone."""

Positions = tuple[Mapping[Any, float], list[tuple[float, str]]]
"""Positions 0..1 by value, and the ticks of the axis."""


def trials_plot(
    order: Sequence[Configuration], objectives: Sequence[Objective], labels: Mapping[int, str]
) -> pd.DataFrame:
    """The table of ``trials.csv``.

    Args:
        order: ranked configurations, the best first.
        objectives: of the search.
        labels: of the configurations, by number.
    """
    names = [name for o in objectives for name in (o.name, f"{o.name}_mean")]
    rows = [
        [
            *(labels[c.number], place, trial.number, trial.seed, trial.measures[objectives[0].name]),
            *(value for o in objectives for value in (trial.measures[o.name], c.mean(o.name))),
        ]
        for place, c in enumerate(order, start=1)
        for trial in c.completed
    ]
    return pd.DataFrame(rows, columns=["label", "place", "trial", "seed", "objective", *names])


def parallel_plot(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> pd.DataFrame:
    """The table of ``parallel.csv``: the axes that vary among the completed trials, then the objectives."""
    trials = [record for record in sort_trials(records) if record.state == "completed"]
    varying = varying_axes([trial.point for trial in trials], list_axes(records))
    axes: dict[str, Mapping[int, Any]] = {
        name: {t.number: t.point[name] for t in trials if name in t.point} for name in varying
    }
    axes |= {o.name: {t.number: t.measures[o.name] for t in trials} for o in objectives}
    rows = [row for name, values in axes.items() for row in _axis_rows(name, values, trials, objectives[0])]
    return pd.DataFrame(rows, columns=["trial", "axis", "position", "label", "tick", "objective"])


def label_configurations(configurations: Sequence[Configuration], axes: Sequence[str]) -> dict[int, str]:
    """A label for each configuration, by number, such as ``#3 dirichlet(alpha=0.5), lr=0.001``.

    It names the axes that vary, those with a parent axis in parentheses after its value.
    """
    points = [configuration.point for configuration in configurations]
    varying = varying_axes(points, axes)
    parents = {axis: parent_axis(axis, points, axes) for axis in varying}
    return {
        c.number: f"#{c.number} {_label_point(c.point, varying, parents)}".rstrip() for c in configurations
    }


def _label_point(point: Point, varying: Sequence[str], parents: dict[str, str | None]) -> str:
    owners = set(parents.values()) if len(varying) > 1 else set(varying)
    words = []
    for axis in (axis for axis in varying if axis in point and parents[axis] is None):
        inner = [child for child in varying if parents[child] == axis and child in point]
        values = ", ".join(f"{name.rpartition('.')[2]}={_format_value(point[name])}" for name in inner)
        value = _format_value(point[axis]) + (f"({values})" if values else "")
        words.append(value if axis in owners else f"{axis}={value}")
    return ", ".join(words)


def _format_value(value: str | int | float | None) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "none" if value is None else str(value)


def _axis_rows(
    name: str, values: Mapping[int, Any], trials: Sequence[TrialRecord], objective: Objective
) -> Iterator[list[object]]:
    """A row for each trial: where it is on one axis."""
    if not trials:
        return
    floor = FLOOR if len(values) < len(trials) else 0.0
    numeric = all(isinstance(value, Real) for value in values.values())
    places, ticks = (_place_numbers if numeric else _place_categories)(set(values.values()))

    def lift(place: float) -> float:
        return round(floor + (1 - floor) * place, 4)

    unwritten = {lift(place): text for place, text in ticks} | ({0.0: MISSING} if floor else {})
    for trial in trials:
        present = trial.number in values
        position = lift(places[values[trial.number]]) if present else 0.0
        label = _format_value(values[trial.number]) if present else MISSING
        tick = unwritten.pop(position, "")
        yield [trial.number, name, position, label, tick, trial.measures[objective.name]]


def _place_numbers(values: set[Any]) -> Positions:
    low, high = min(values), max(values)
    logarithmic = low > 0 and high >= 10 * low

    def place(value: float) -> float:
        if high == low:
            return 0.5
        return log(value / low) / log(high / low) if logarithmic else (value - low) / (high - low)

    places = {value: place(value) for value in sorted(values)}
    apart = all(after - before > 0.06 for before, after in pairwise(places.values()))
    shown = list(places) if len(places) <= FEW and apart else [low, high]
    return places, [(places[value], _format_value(value)) for value in shown]


def _place_categories(values: set[Any]) -> Positions:
    order = sorted(values, key=_category_key)
    span = max(1, len(order) - 1)
    places = {value: index / span if len(order) > 1 else 0.5 for index, value in enumerate(order)}
    return places, [(place, _format_value(value)) for value, place in places.items()]


def _category_key(value: Any) -> tuple[int, float, str]:
    """Numbers first, then text, then null."""
    if isinstance(value, Real):
        return 0, float(value), ""
    return (1, 0.0, value) if value is not None else (2, 0.0, "")
