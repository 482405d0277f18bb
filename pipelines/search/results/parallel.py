"""Trials as lines over parallel axes: where each value lies between 0 and 1, and what is written there.

Numbers lie evenly, or evenly in the logarithm where they are positive and span a factor of ten; anything else
is spaced evenly. Where an axis does not apply to some trials, these lie at 0 and the values above ``FLOOR``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from numbers import Real
from typing import Any

from pipelines.search.results.configurations import axes_of, in_order
from pipelines.search.results.features import varying_axes
from pipelines.search.results.labels import value_label
from pipelines.search.trial_record import Objective, TrialRecord

FLOOR = 0.15
MISSING = "n/a"
_FEW = 6
"""So many different numbers are each written at the axis; of more, the ends and the middle."""


@dataclass(frozen=True, kw_only=True)
class ParallelAxis:
    """One axis.

    Attributes:
        name: of the axis or objective.
        positions: 0..1, of each trial by number.
        labels: what each trial has there, by number.
        ticks: position and text, from below.
        discrete: whether the values are text or whole numbers, which many trials share.
    """

    name: str
    positions: Mapping[int, float]
    labels: Mapping[int, str]
    ticks: tuple[tuple[float, str], ...]
    discrete: bool


def parallel_axes(
    records: Sequence[TrialRecord], objectives: Sequence[Objective]
) -> tuple[ParallelAxis, ...]:
    """The axes that vary among the completed trials, then the objectives."""
    trials = [record for record in in_order(records) if record.state == "completed"]
    varying = varying_axes([trial.point for trial in trials], axes_of(records))
    axes = [
        _axis(name, {t.number: t.point[name] for t in trials if name in t.point}, trials) for name in varying
    ]
    measures = [_axis(o.name, {t.number: t.measures[o.name] for t in trials}, trials) for o in objectives]
    return (*axes, *measures) if trials else ()


def _axis(name: str, values: Mapping[int, Any], trials: Sequence[TrialRecord]) -> ParallelAxis:
    floor = FLOOR if len(values) < len(trials) else 0.0
    numeric = all(isinstance(value, Real) for value in values.values())
    places, ticks = _numbers(values) if numeric else _categories(values)
    ticks = [(floor + (1 - floor) * place, text) for place, text in ticks]
    return ParallelAxis(
        name=name,
        positions={t.number: _place(places.get(t.number), floor) for t in trials},
        labels={t.number: value_label(values[t.number]) if t.number in values else MISSING for t in trials},
        ticks=tuple([(0.0, MISSING), *ticks] if floor else ticks),
        discrete=not any(isinstance(value, float) for value in values.values()),
    )


def _place(place: float | None, floor: float) -> float:
    return 0.0 if place is None else floor + (1 - floor) * place


def _numbers(values: Mapping[int, Any]) -> tuple[dict[int, float], list[tuple[float, str]]]:
    low, high = min(values.values()), max(values.values())
    logarithmic = low > 0 and high >= 10 * low

    def place(value: float) -> float:
        if high == low:
            return 0.5
        return log(value / low) / log(high / low) if logarithmic else (value - low) / (high - low)

    middle = (low * high) ** 0.5 if logarithmic else (low + high) / 2
    kinds = sorted(set(values.values()))
    shown = kinds if len(kinds) <= _FEW and _apart([place(kind) for kind in kinds]) else [low, middle, high]
    return {n: place(v) for n, v in values.items()}, [(place(v), value_label(v)) for v in shown]


def _apart(places: Sequence[float]) -> bool:
    return all(after - before > 0.06 for before, after in pairwise(places))


def _categories(values: Mapping[int, Any]) -> tuple[dict[int, float], list[tuple[float, str]]]:
    kinds = sorted(set(values.values()), key=_category_key)
    span = max(1, len(kinds) - 1)
    places = {kind: index / span if len(kinds) > 1 else 0.5 for index, kind in enumerate(kinds)}
    return {n: places[v] for n, v in values.items()}, [(place, value_label(k)) for k, place in places.items()]


def _category_key(value: Any) -> tuple[int, float, str]:
    number = isinstance(value, Real)
    return (0, float(value), "") if number else (1 if value is not None else 2, 0.0, str(value))
