"""Tables of a search: one row per trial, per configuration, or per trial and setting of the sliders.

They are deterministic: the same bytes for the same trials. An axis whose values are all numbers is a numeric
column, any other a text column, in which null reads ``none``. An axis that does not apply is a missing value.
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
    find_front,
    group_trials,
    list_axes,
    list_measures,
    rank_configurations,
    sort_trials,
)
from pipelines.search.trial import Objective, TrialRecord

NULL = "none"
"""Text for null on an axis; not ``null``, which CSV readers parse as a missing value."""


def trials_frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row per trial, in order of start.

    Columns: ``trial``, ``configuration`` (equal points have equal numbers), ``state``, ``seed``, the axes,
    the measures at the last score, its ``step``, ``seconds`` of training, ``reason`` and ``fingerprint``.

    Raises:
        DataError: an axis or a measure has the name of another column.
    """
    rows = sort_trials(records)
    numbers = {t.number: c.number for c in group_trials(records) for t in c.trials}
    return _join_columns(
        {
            "trial": [row.number for row in rows],
            "configuration": [numbers[row.number] for row in rows],
            "state": [row.state for row in rows],
            "seed": [row.seed for row in rows],
        },
        {name: _axis_column([row.point for row in rows], name) for name in list_axes(rows)},
        {name: _number_column([row.measures.get(name) for row in rows]) for name in list_measures(rows)},
        {
            "step": [row.step for row in rows],
            "seconds": _number_column([row.seconds for row in rows]),
            "reason": [row.reason for row in rows],
            "fingerprint": [row.fingerprint for row in rows],
        },
    )


def configurations_frame(
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    seeds: Sequence[int] | None = None,
    *,
    front_only: bool = False,
) -> pd.DataFrame:
    """One row per configuration, the best first, unranked ones at the end in order of start.

    Columns: ``configuration``, ``place`` (from 1; missing if not every seed completed), ``front``, the axes,
    ``trials``, ``seeds`` (completed), and for each measure its mean over completed seeds under its own name
    and ``<measure>_std``, the standard deviation over them, missing with one seed.
    """
    everything = group_trials(records, seeds)
    best_first, unbeaten = rank_configurations(everything, objectives), find_front(everything, objectives)
    rows = unbeaten if front_only else (*best_first, *(c for c in everything if not c.complete))
    places = {c.number: place for place, c in enumerate(best_first, start=1)}
    return _join_columns(
        {
            "configuration": [row.number for row in rows],
            "place": pd.array([places.get(row.number) for row in rows], dtype="Int64"),
            "front": [row in unbeaten for row in rows],
        },
        {name: _axis_column([row.point for row in rows], name) for name in list_axes(records)},
        {"trials": [len(row.trials) for row in rows], "seeds": [len(row.completed) for row in rows]},
        *(
            {
                name: _number_column([row.mean(name) for row in rows]),
                f"{name}_std": _number_column([row.deviation(name) for row in rows]),
            }
            for name in list_measures(records)
        ),
    )


def settings_frame(records: Sequence[TrialRecord], vertices: Sequence[str] = ()) -> pd.DataFrame:
    """One row per trial and setting, in order of start, then of the grid.

    Columns: ``trial``, ``configuration``, ``seed``, ``omega_1`` to ``omega_P``, and for each vertex of the
    control space ``loss <its settings>``, the loss of its objective divided by the reference; see
    :mod:`pipelines.measure.judge`. Tasks with condition controls have no rows.

    Args:
        records: of the last score of each trial.
        vertices: names of the vertices; empty numbers them.
    """
    numbers = {trial.number: c.number for c in group_trials(records) for trial in c.trials}
    rows = [
        [record.number, numbers[record.number], record.seed, *setting["omega"], *setting["objectives"]]
        for record in sort_trials(records)
        for setting in record.settings
    ]
    columns = ["trial", "configuration", "seed"]
    one = next((setting for record in records for setting in record.settings), None)
    if one is not None:
        columns += [f"omega_{number}" for number, _ in enumerate(one["omega"], start=1)]
        names = vertices or [str(number) for number, _ in enumerate(one["objectives"], start=1)]
        columns += [f"loss {name}" for name in names]
    return pd.DataFrame(rows, columns=columns)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV atomically; floats keep every digit."""
    write_atomic(path, frame.to_csv(index=False, lineterminator="\n").encode())


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet atomically."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, engine="pyarrow")
    write_atomic(path, buffer.getvalue())


def _join_columns(*parts: Mapping[str, Any]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name, values in (item for part in parts for item in part.items()):
        if name in columns:
            raise DataError(f"duplicate column {name!r} in the table; rename the axis or the measure")
        columns[name] = values
    return pd.DataFrame(columns)


def _axis_column(points: Sequence[Mapping[str, Any]], name: str) -> Any:
    values = [point[name] for point in points if name in point]
    if all(isinstance(value, Real) for value in values):
        whole = all(isinstance(value, int) for value in values)
        return pd.array([point.get(name) for point in points], dtype="Int64" if whole else "Float64")
    texts = {value: NULL if value is None else str(value) for value in values}
    return pd.array([texts[point[name]] if name in point else None for point in points], dtype="str")


def _number_column(values: Sequence[float | None]) -> Any:
    return pd.array(list(values), dtype="Float64")
