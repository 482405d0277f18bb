"""Which configuration is best, and which are not beaten in everything by another.

Only configurations that completed with every seed are ranked: a mean over the seeds that happened to survive
says too much good of an unsteady configuration. A configuration dominates another that is nowhere better and
somewhere worse; those that nobody dominates are the front. With one objective the front is the best alone.
"""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from pipelines.core.errors import TrainingError
from pipelines.search.results.configurations import Configuration
from pipelines.search.scoring.hypervolume import non_dominated
from pipelines.search.trial_record import Objective, TrialRecord


def ranked(
    configurations: Sequence[Configuration], objectives: Sequence[Objective]
) -> tuple[Configuration, ...]:
    """Complete configurations, the best first: by the first objective, ties by the next and by number.

    Raises:
        TrainingError: a completed trial lacks an objective.
    """
    complete = [configuration for configuration in configurations if configuration.complete]
    losses = {c.number: _minimised(c, objectives) for c in complete}
    return tuple(sorted(complete, key=lambda c: (*losses[c.number], c.number)))


def front(
    configurations: Sequence[Configuration], objectives: Sequence[Objective]
) -> tuple[Configuration, ...]:
    """Those of the ranked that none dominates, in the same order; of equals the first alone."""
    order = ranked(configurations, objectives)
    if len(objectives) == 1 or not order:
        return order[:1]
    points = np.array([_minimised(configuration, objectives) for configuration in order])
    first = np.sort(np.unique(points, axis=0, return_index=True)[1])
    mask = non_dominated(points[first])
    return tuple(order[index] for index, kept in zip(first, mask, strict=True) if kept)


def best(
    configurations: Sequence[Configuration],
    objectives: Sequence[Objective],
    seeds: Sequence[int] | None = None,
) -> Configuration:
    """The one that is best in the first objective, which the front always holds.

    Args:
        configurations: of the search.
        objectives: of the search.
        seeds: that each point was to be trained with; by default all that any was.

    Raises:
        TrainingError: no configuration completed with every seed. The message counts what became of the
            trials, repeats the first reason of a failure and says what helps.
    """
    order = ranked(configurations, objectives)
    if not order:
        raise TrainingError(_nothing_to_rank(configurations, seeds))
    return order[0]


def _minimised(configuration: Configuration, objectives: Sequence[Objective]) -> tuple[float, ...]:
    return tuple(_value(configuration, o.name) * (1 if o.mode == "min" else -1) for o in objectives)


def _value(configuration: Configuration, name: str) -> float:
    for trial in configuration.completed:
        if name not in trial.measures:
            have = ", ".join(trial.measures) or "none"
            raise TrainingError(f"trial {trial.number} has no measure {name!r}; its measures are {have}")
    return fmean(configuration.values(name))


def _nothing_to_rank(configurations: Sequence[Configuration], seeds: Sequence[int] | None) -> str:
    trials = [trial for configuration in configurations for trial in configuration.trials]
    wanted = {trial.seed for trial in trials} if seeds is None else set(seeds)
    failed = sorted((t for t in trials if t.state == "failed"), key=lambda trial: trial.number)
    reason = f", {len(failed)} failed; the first: {failed[0].reason}" if failed else ", and none failed"
    remedy = "" if failed else "; raise the number of trials, or prune fewer of them"
    if _cut_short(configurations, wanted):
        remedy = "; raise search.minutes, or run again to go on"
    return f"{_completed(trials, len(wanted))}{reason}{remedy}"


def _completed(trials: Sequence[TrialRecord], seeds: int) -> str:
    completed = sum(trial.state == "completed" for trial in trials)
    if not completed:
        return f"no trial of {len(trials)} completed" if trials else "no trial was begun"
    done = f"{completed} trial{'s' if completed > 1 else ''} completed"
    return f"{done}, but no configuration did with all {seeds} seeds"


def _cut_short(configurations: Sequence[Configuration], seeds: set[int]) -> bool:
    """Whether the search was over before the trials were: one is unfinished, or was to begin still."""
    trials = [trial for configuration in configurations for trial in configuration.trials]
    unfinished = any(trial.state == "unfinished" for trial in trials)
    return not trials or unfinished or any(seeds - {t.seed for t in c.trials} for c in configurations)
