"""Tables of a search: a row a trial, a row a configuration; the same bytes for the same trials.

An axis whose values are all numbers is a column of numbers, any other a column of text, in which the value
null reads ``none``. An axis that does not apply is a missing value.
"""

import io
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.core.errors import DataError
from pipelines.core.records import write_atomic
from pipelines.search.results.configurations import (
    Configuration,
    axes_of,
    configurations,
    in_order,
    measures_of,
)
from pipelines.search.results.ranking import front, ranked
from pipelines.search.trial_record import Objective, TrialRecord

NULL = "none"
"""Text of an axis's null. Not ``null``, which readers of CSV take for a missing value."""


def trials_frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a trial, in order of start.

    Columns: ``trial``, ``configuration`` (equal points have equal numbers), ``state``, ``seed``, the axes,
    the measures (of the last score), ``step`` (of it), ``seconds`` (of training), ``reason`` and
    ``fingerprint``.

    Raises:
        DataError: an axis or a measure has the name of another column.
    """
    rows = in_order(records)
    numbers = {t.number: c.number for c in configurations(records) for t in c.trials}
    columns: dict[str, Any] = {
        "trial": [row.number for row in rows],
        "configuration": [numbers[row.number] for row in rows],
        "state": [row.state for row in rows],
        "seed": [row.seed for row in rows],
    }
    _add(columns, {name: _axis([row.point for row in rows], name) for name in axes_of(rows)})
    _add(columns, {name: _numbers([row.measures.get(name) for row in rows]) for name in measures_of(rows)})
    _add(
        columns,
        {
            "step": [row.step for row in rows],
            "seconds": _numbers([row.seconds for row in rows]),
            "reason": [row.reason for row in rows],
            "fingerprint": [row.fingerprint for row in rows],
        },
    )
    return pd.DataFrame(columns)


def configurations_frame(
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    seeds: Sequence[int] | None = None,
    *,
    front_only: bool = False,
) -> pd.DataFrame:
    """One row a configuration, the best first, those that are not ranked last in order of start.

    Columns: ``configuration``, ``place`` (from 1; missing if not every seed completed), ``front``, the axes,
    ``trials``, ``seeds`` (completed), and of each measure its mean over completed seeds under its own name
    and ``<measure>_std``, the standard deviation over them, missing with one seed.
    """
    everything = configurations(records, seeds)
    best_first, unbeaten = ranked(everything, objectives), front(everything, objectives)
    rows = unbeaten if front_only else (*best_first, *(c for c in everything if not c.complete))
    places = {c.number: place for place, c in enumerate(best_first, start=1)}
    columns: dict[str, Any] = {
        "configuration": [row.number for row in rows],
        "place": pd.array([places.get(row.number) for row in rows], dtype="Int64"),
        "front": [row.number in {c.number for c in unbeaten} for row in rows],
    }
    _add(columns, {name: _axis([row.point for row in rows], name) for name in axes_of(records)})
    _add(columns, {"trials": [len(row.trials) for row in rows]})
    _add(columns, {"seeds": [len(row.completed) for row in rows]})
    for name in measures_of(records):
        _add(columns, _spread(rows, name))
    return pd.DataFrame(columns)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """The table as CSV, whole or not at all; floats keep every digit."""
    write_atomic(path, frame.to_csv(index=False, lineterminator="\n").encode())


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """The table as Parquet, whole or not at all."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, engine="pyarrow")
    write_atomic(path, buffer.getvalue())


def _spread(rows: Sequence[Configuration], name: str) -> dict[str, Any]:
    return {
        name: _numbers([row.mean(name) for row in rows]),
        f"{name}_std": _numbers([row.deviation(name) for row in rows]),
    }


def _add(columns: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name in more:
        if name in columns:
            raise DataError(f"the table has two columns {name!r}; an axis or a measure needs another name")
    columns.update(more)


def _axis(points: Sequence[Mapping[str, Any]], name: str) -> Any:
    values = [point[name] for point in points if name in point]
    if all(isinstance(value, Real) for value in values):
        whole = all(isinstance(value, int) for value in values)
        return pd.array([point.get(name) for point in points], dtype="Int64" if whole else "Float64")
    return pd.array([_text(point[name]) if name in point else None for point in points], dtype="str")


def _text(value: object) -> str:
    return NULL if value is None else str(value)


def _numbers(values: Sequence[float | None]) -> Any:
    return pd.array(list(values), dtype="Float64")
