"""CSV files that ``dvc plots`` shows; their columns are the same for every search but for the objectives'.

trials.csv       a row for each completed trial of a ranked configuration, the best first: ``label`` and
                 ``place`` of the configuration, ``trial``, ``seed``, ``objective`` (value of the first one),
                 and for each objective its value and ``<objective>_mean`` over the configuration's seeds
parallel.csv     a row for each completed trial and axis: ``position`` 0..1 on the axis, ``label`` of the
                 value, ``tick`` (the label where it is to be written at the axis, once for each place),
                 ``objective`` (value of the first one)
"""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from pipelines.search.results.configurations import Configuration
from pipelines.search.results.parallel import parallel_axes
from pipelines.search.trial_record import Objective, TrialRecord


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
        [labels[c.number], place, trial.number, trial.seed, *_values(c, trial, objectives)]
        for place, c in enumerate(order, start=1)
        for trial in c.completed
    ]
    return pd.DataFrame(rows, columns=["label", "place", "trial", "seed", "objective", *names])


def parallel_plot(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> pd.DataFrame:
    """The table of ``parallel.csv``."""
    columns = ["trial", "axis", "position", "label", "tick", "objective"]
    return pd.DataFrame(_positions(records, objectives), columns=columns)


def _values(
    configuration: Configuration, trial: TrialRecord, objectives: Sequence[Objective]
) -> Iterator[float | None]:
    yield trial.measures[objectives[0].name]
    for objective in objectives:
        yield trial.measures[objective.name]
        yield configuration.mean(objective.name)


def _positions(records: Sequence[TrialRecord], objectives: Sequence[Objective]) -> Iterator[list[object]]:
    values = {r.number: r.measures[objectives[0].name] for r in records if r.state == "completed"}
    for axis in parallel_axes(records, objectives):
        unwritten = {round(position, 4): text for position, text in axis.ticks}
        for number, position in axis.positions.items():
            place = round(position, 4)
            tick = unwritten.pop(place, "")
            yield [number, axis.name, place, axis.labels[number], tick, values[number]]
