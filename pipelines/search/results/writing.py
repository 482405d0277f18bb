"""Writes the results of a search, for people and for the next stage, into one folder.

trials.parquet, trials.csv   one row per trial
configurations.csv           one row per configuration, the best first
front.csv                    the rows of these that none dominates
settings.csv                 the losses of every trial at each setting of the sliders
importance.csv               how much each axis matters for the first objective
front.png                    the configurations and their trade-offs
plots/                       CSV files for ``dvc plots``
params.yaml                  the parameters with the best configuration's values
record.json                  the summary; written last, the same bytes for the same numbers
"""

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from matplotlib.figure import Figure

from pipelines.core.records import write_atomic, write_json_atomic
from pipelines.search.axes import Point
from pipelines.search.results.best_params import write_params
from pipelines.search.results.configurations import (
    Configuration,
    find_front,
    group_trials,
    list_axes,
    pick_best,
    rank_configurations,
)
from pipelines.search.results.front_figure import draw_front
from pipelines.search.results.importance import importance_frame, measure_importance
from pipelines.search.results.plot_tables import label_configurations, parallel_plot, trials_plot
from pipelines.search.results.tables import (
    configurations_frame,
    settings_frame,
    trials_frame,
    write_csv,
    write_parquet,
)
from pipelines.search.trial import Objective, State, TrialRecord

SCHEMA = 1

OUTPUTS = (
    *("record.json", "params.yaml", "trials.parquet", "trials.csv", "configurations.csv", "front.csv"),
    *("settings.csv", "importance.csv", "front.png", "plots/trials.csv", "plots/parallel.csv"),
)
"""All files, the summary first."""


def write_results(
    folder: Path,
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    *,
    source_params: Path,
    changes_of: Callable[[Point], Mapping[str, Any]],
    vertices: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
) -> Configuration:
    """Write every file into ``folder``.

    Args:
        folder: of the results; created if missing.
        records: every trial of the search.
        objectives: at least one; the first ranks.
        source_params: the ``params.yaml`` that the best configuration's is made from.
        changes_of: values by dotted key of ``params.yaml`` that train a point.
        vertices: names of a task's K normalized losses, for the figure; empty numbers them.
        seeds: that each point was to be trained with; by default all that occur.

    Returns:
        The best configuration.

    Raises:
        TrainingError: no configuration completed with every seed. Then the table of trials, which says how
            each ended, is the only file written.
    """
    for name in OUTPUTS:  # of an earlier search, which must not mix with these
        (folder / name).unlink(missing_ok=True)
    trials = trials_frame(records)
    write_parquet(trials, folder / "trials.parquet")
    write_csv(trials, folder / "trials.csv")
    groups = group_trials(records, seeds)
    winner = pick_best(groups, objectives, seeds)
    importance = measure_importance(records, objectives[0])
    labels = label_configurations(groups, list_axes(records))
    tables = {
        "configurations": configurations_frame(records, objectives, seeds),
        "front": configurations_frame(records, objectives, seeds, front_only=True),
        "settings": settings_frame(records, vertices),
        "importance": importance_frame(importance),
        "plots/trials": trials_plot(rank_configurations(groups, objectives), objectives, labels),
        "plots/parallel": parallel_plot(records, objectives),
    }
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    _write_png(draw_front(groups, objectives, labels, vertices), folder / "front.png")
    write_params(source_params, folder / "params.yaml", changes_of(winner.point))
    write_json_atomic(folder / "record.json", _make_record(records, groups, objectives))
    return winner


def _write_png(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    write_atomic(path, buffer.getvalue())


def _make_record(
    records: Sequence[TrialRecord], groups: Sequence[Configuration], objectives: Sequence[Objective]
) -> dict[str, Any]:
    states = Counter(record.state for record in records)
    ranked = rank_configurations(groups, objectives)
    return {
        "schema": SCHEMA,
        "objectives": [{"name": o.name, "mode": o.mode} for o in objectives],
        "trials": {state: states[state] for state in get_args(State)},
        "configurations": {"tried": len(groups), "ranked": len(ranked)},
        "best": _summarize_configuration(ranked[0]),
        "front": [_summarize_configuration(one) for one in find_front(groups, objectives)],
    }


def _summarize_configuration(configuration: Configuration) -> dict[str, Any]:
    names = configuration.completed[0].measures
    return {
        "configuration": configuration.number,
        "point": dict(configuration.point),
        "seeds": sorted(trial.seed for trial in configuration.completed),
        "measures": {n: {"mean": configuration.mean(n), "std": configuration.deviation(n)} for n in names},
    }
