"""Trials of equal points are one configuration, tried with several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pipelines.search.trial_record import Point, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One point of the space, with what its trials measured.

    Attributes:
        number: from 0, in order of its first trial.
        point: value of each axis by name.
        trials: all of them, in order of start.
        complete: whether a trial has completed with every seed that the search gave to anyone.
    """

    number: int
    point: Point
    trials: tuple[TrialRecord, ...]
    complete: bool

    @property
    def completed(self) -> tuple[TrialRecord, ...]:
        """Trials that were trained to the end; what follows counts these alone."""
        return tuple(trial for trial in self.trials if trial.state == "completed")

    def values(self, measure: str) -> list[float]:
        """A measure of each completed trial that has it."""
        return [trial.measures[measure] for trial in self.completed if measure in trial.measures]

    def mean(self, measure: str) -> float | None:
        """Mean over seeds; None without any value."""
        values = self.values(measure)
        return fmean(values) if values else None

    def deviation(self, measure: str) -> float | None:
        """Standard deviation over seeds, with n - 1 below the sum; None with fewer than two values."""
        values = self.values(measure)
        return stdev(values) if len(values) > 1 else None


def configurations(
    records: Sequence[TrialRecord], seeds: Sequence[int] | None = None
) -> tuple[Configuration, ...]:
    """The configurations of a search, in order of their first trials.

    Args:
        records: of all trials.
        seeds: that each point was to be trained with; by default all that any was.
    """
    groups: dict[frozenset[tuple[str, object]], list[TrialRecord]] = {}
    for record in in_order(records):
        groups.setdefault(frozenset(record.point.items()), []).append(record)
    wanted = {record.seed for record in records} if seeds is None else set(seeds)
    return tuple(
        Configuration(number=number, point=group[0].point, trials=tuple(group), complete=_has(group, wanted))
        for number, group in enumerate(groups.values())
    )


def in_order(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials in order of start."""
    return sorted(records, key=lambda record: record.number)


def axes_of(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Names of all axes; one that not every trial has stands after its neighbour in the trials that do."""
    return _merged([record.point for record in in_order(records)])


def measures_of(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Names of all measures, in the trials' order."""
    return _merged([record.measures for record in in_order(records)])


def _merged(mappings: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    names: list[str] = []
    for mapping in mappings:
        place = 0
        for name in mapping:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return tuple(names)


def _has(group: Sequence[TrialRecord], seeds: set[int]) -> bool:
    return seeds <= {trial.seed for trial in group if trial.state == "completed"}
