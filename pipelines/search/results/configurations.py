"""Configurations of a search: trials of equal points are grouped over their seeds, ranked and compared.

Only configurations that completed with every seed are ranked: a mean over the seeds that happened to survive
flatters an unsteady configuration. A configuration dominates another if it is nowhere worse and somewhere
better; those that none dominates are the front. With one objective the front is the best one alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from pipelines.core.errors import TrainingError
from pipelines.measure.hypervolume import non_dominated
from pipelines.search.axes import Point
from pipelines.search.trial import Objective, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One point of the space, with what its trials measured.

    Attributes:
        number: from 0, in order of its first trial.
        point: value of each axis by name.
        trials: all of them, in order of start.
        complete: whether a trial has completed with every seed of the search.
    """

    number: int
    point: Point
    trials: tuple[TrialRecord, ...]
    complete: bool

    @property
    def completed(self) -> tuple[TrialRecord, ...]:
        """Trials that were trained to the end; the statistics below count these alone."""
        return tuple(trial for trial in self.trials if trial.state == "completed")

    def values(self, measure: str) -> list[float]:
        """A measure of each completed trial that has it."""
        return [trial.measures[measure] for trial in self.completed if measure in trial.measures]

    def mean(self, measure: str) -> float | None:
        """Mean over seeds; None without any value."""
        values = self.values(measure)
        return fmean(values) if values else None

    def deviation(self, measure: str) -> float | None:
        """Sample standard deviation (n - 1) over seeds; None with fewer than two values."""
        values = self.values(measure)
        return stdev(values) if len(values) > 1 else None


def group_trials(
    records: Sequence[TrialRecord], seeds: Sequence[int] | None = None
) -> tuple[Configuration, ...]:
    """The configurations of a search, in order of their first trials.

    Args:
        records: of all trials.
        seeds: that each point was to be trained with; by default all that occur.
    """
    groups: dict[frozenset[tuple[str, object]], list[TrialRecord]] = {}
    for record in sort_trials(records):
        groups.setdefault(frozenset(record.point.items()), []).append(record)
    wanted = {record.seed for record in records} if seeds is None else set(seeds)
    return tuple(
        Configuration(
            number=number,
            point=group[0].point,
            trials=tuple(group),
            complete=wanted <= {trial.seed for trial in group if trial.state == "completed"},
        )
        for number, group in enumerate(groups.values())
    )


def sort_trials(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials in order of start."""
    return sorted(records, key=lambda record: record.number)


def list_axes(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Names of all axes; one that some trials lack follows its neighbor in the trials that have it."""
    return _merge_keys([record.point for record in sort_trials(records)])


def list_measures(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Names of all measures, in the trials' order."""
    return _merge_keys([record.measures for record in sort_trials(records)])


def varying_axes(points: Sequence[Point], axes: Sequence[str]) -> tuple[str, ...]:
    """Axes with at least two values among the points that they apply to.

    An axis that some points lack without a parent that explains it counts as varying.
    """

    def varies(axis: str) -> bool:
        values = {point[axis] for point in points if axis in point}
        lacking = any(axis not in point for point in points)
        return len(values) > 1 or (bool(values) and lacking and parent_axis(axis, points, axes) is None)

    return tuple(axis for axis in axes if varies(axis))


def parent_axis(axis: str, points: Sequence[Point], axes: Sequence[str]) -> str | None:
    """The axis that decides whether this one applies: the name before the last dot is one of its values."""
    family = axis.rpartition(".")[0]
    owners = (other for other in axes if family and any(point.get(other) == family for point in points))
    return next(owners, None)


def rank_configurations(
    configurations: Sequence[Configuration], objectives: Sequence[Objective]
) -> tuple[Configuration, ...]:
    """Complete configurations, the best first: by the first objective, ties by the next and by number.

    Raises:
        TrainingError: a completed trial lacks an objective.
    """
    complete = [configuration for configuration in configurations if configuration.complete]
    losses = {c.number: _objective_losses(c, objectives) for c in complete}
    return tuple(sorted(complete, key=lambda c: (*losses[c.number], c.number)))


def find_front(
    configurations: Sequence[Configuration], objectives: Sequence[Objective]
) -> tuple[Configuration, ...]:
    """Ranked configurations that none dominates, in the same order; the first of equal ones alone."""
    order = rank_configurations(configurations, objectives)
    if len(objectives) == 1 or not order:
        return order[:1]
    points = np.array([_objective_losses(configuration, objectives) for configuration in order])
    first = np.sort(np.unique(points, axis=0, return_index=True)[1])
    mask = non_dominated(points[first])
    return tuple(order[index] for index, kept in zip(first, mask, strict=True) if kept)


def pick_best(
    configurations: Sequence[Configuration],
    objectives: Sequence[Objective],
    seeds: Sequence[int] | None = None,
) -> Configuration:
    """The configuration that is best in the first objective; it is always on the front.

    Raises:
        TrainingError: no configuration completed with every seed. The message counts how trials ended,
            quotes the first failure and names a remedy.
    """
    order = rank_configurations(configurations, objectives)
    if not order:
        raise TrainingError(_explain_no_winner(configurations, seeds))
    return order[0]


def _merge_keys(mappings: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    names: list[str] = []
    for mapping in mappings:
        place = 0
        for name in mapping:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return tuple(names)


def _objective_losses(configuration: Configuration, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Mean of each objective, negated where larger is better."""
    for trial in configuration.completed:
        for objective in objectives:
            if objective.name not in trial.measures:
                have = ", ".join(trial.measures) or "none"
                raise TrainingError(
                    f"trial {trial.number} has no measure {objective.name!r}; its measures are {have}"
                )
    return tuple(fmean(configuration.values(o.name)) * (1 if o.mode == "min" else -1) for o in objectives)


def _explain_no_winner(configurations: Sequence[Configuration], seeds: Sequence[int] | None) -> str:
    trials = [trial for configuration in configurations for trial in configuration.trials]
    wanted = {trial.seed for trial in trials} if seeds is None else set(seeds)
    completed = sum(trial.state == "completed" for trial in trials)
    count = f"{completed} trial{'s' if completed > 1 else ''} completed"
    if completed:
        count += f", but no configuration completed with all {len(wanted)} seeds"
    else:
        count = f"no trial of {len(trials)} completed" if trials else "no trial was started"
    failed = sorted((t for t in trials if t.state == "failed"), key=lambda trial: trial.number)
    reason = f"{len(failed)} failed; the first: {failed[0].reason}" if failed else "none failed"
    unstarted = any(wanted - {t.seed for t in c.trials} for c in configurations)
    if not trials or unstarted or any(trial.state == "unfinished" for trial in trials):
        remedy = "; raise search.minutes, or run the same command again to resume"
    else:
        remedy = "" if failed else "; raise the number of trials, or prune fewer of them"
    return f"{count}, {reason}{remedy}"
