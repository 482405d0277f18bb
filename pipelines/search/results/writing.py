"""Everything that a search leaves for people and for the next stage, in one folder.

trials.parquet, trials.csv   a row a trial
configurations.csv           a row a configuration, the best first
front.csv                    of these, the ones that none dominates
settings.csv                 the losses of every trial at each setting of the sliders
importance.csv               how much each axis matters for the first objective
front.png, parallel.png      figures
plots/                       CSV files for ``dvc plots``
params.yaml                  the parameters with the best configuration's values
record.json                  the verdict; written last, the same bytes for the same numbers
"""

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from matplotlib.figure import Figure

from pipelines.core.records import write_atomic, write_json_atomic
from pipelines.search.results.best_params import write_params
from pipelines.search.results.configurations import Configuration, axes_of, configurations
from pipelines.search.results.front_figure import draw_front
from pipelines.search.results.importance import importance, importance_frame
from pipelines.search.results.labels import labels
from pipelines.search.results.parallel_figure import draw_parallel
from pipelines.search.results.plot_tables import parallel_plot, trials_plot
from pipelines.search.results.ranking import best, front, ranked
from pipelines.search.results.settings_table import settings_frame
from pipelines.search.results.table import configurations_frame, trials_frame, write_csv, write_parquet
from pipelines.search.trial_record import Objective, Point, State, TrialRecord

SCHEMA = 1

OUTPUTS = (
    *("record.json", "params.yaml", "trials.parquet", "trials.csv", "configurations.csv", "front.csv"),
    *(
        "settings.csv",
        "importance.csv",
        "front.png",
        "parallel.png",
        "plots/trials.csv",
        "plots/parallel.csv",
    ),
)
"""All files, the verdict first."""


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
        folder: where to; made if it is not there.
        records: every trial of the search.
        objectives: at least one; the first ranks.
        source_params: the ``params.yaml`` that the best one's is made from.
        changes_of: values by dotted key of ``params.yaml`` that train a point.
        vertices: what a task's K normalised losses ask for, for the figures; empty numbers them.
        seeds: that each point was to be trained with; by default all that any was.

    Returns:
        The best configuration.

    Raises:
        TrainingError: no configuration completed with every seed. The table of trials, which says what
            became of each, is written all the same, and alone.
    """
    for name in OUTPUTS:  # of an older search, beside whose files these would stand
        (folder / name).unlink(missing_ok=True)
    _write_trials(folder, records)
    groups = configurations(records, seeds)
    winner = best(groups, objectives, seeds)
    _write_tables(folder, records, objectives, seeds, vertices)
    _write_plots(folder, records, groups, objectives, vertices)
    write_params(source_params, folder / "params.yaml", changes_of(winner.point))
    write_json_atomic(folder / "record.json", _record(records, groups, objectives))
    return winner


def _write_trials(folder: Path, records: Sequence[TrialRecord]) -> None:
    trials = trials_frame(records)
    write_parquet(trials, folder / "trials.parquet")
    write_csv(trials, folder / "trials.csv")


def _write_tables(
    folder: Path,
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    seeds: Sequence[int] | None,
    vertices: Sequence[str],
) -> None:
    write_csv(configurations_frame(records, objectives, seeds), folder / "configurations.csv")
    write_csv(configurations_frame(records, objectives, seeds, front_only=True), folder / "front.csv")
    write_csv(settings_frame(records, vertices), folder / "settings.csv")
    write_csv(importance_frame(importance(records, objectives[0])), folder / "importance.csv")


def _write_plots(
    folder: Path,
    records: Sequence[TrialRecord],
    groups: Sequence[Configuration],
    objectives: Sequence[Objective],
    vertices: Sequence[str],
) -> None:
    words = labels(groups, axes_of(records))
    _write_figure(draw_front(groups, objectives, words, vertices), folder / "front.png")
    _write_figure(draw_parallel(records, objectives), folder / "parallel.png")
    write_csv(trials_plot(ranked(groups, objectives), objectives, words), folder / "plots" / "trials.csv")
    write_csv(parallel_plot(records, objectives), folder / "plots" / "parallel.csv")


def _write_figure(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    write_atomic(path, buffer.getvalue())


def _record(
    records: Sequence[TrialRecord], groups: Sequence[Configuration], objectives: Sequence[Objective]
) -> dict[str, Any]:
    states = Counter(record.state for record in records)
    return {
        "schema": SCHEMA,
        "objectives": [{"name": o.name, "mode": o.mode} for o in objectives],
        "trials": {state: states[state] for state in get_args(State)},
        "configurations": {"tried": len(groups), "ranked": len(ranked(groups, objectives))},
        "best": _verdict(best(groups, objectives)),
        "front": [_verdict(configuration) for configuration in front(groups, objectives)],
    }


def _verdict(configuration: Configuration) -> dict[str, Any]:
    names = configuration.completed[0].measures
    return {
        "configuration": configuration.number,
        "point": dict(configuration.point),
        "seeds": sorted(trial.seed for trial in configuration.completed),
        "measures": {n: {"mean": configuration.mean(n), "std": configuration.deviation(n)} for n in names},
    }
