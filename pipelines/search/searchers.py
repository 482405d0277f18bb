"""Searchers of Ray Tune: from a list of points or from Optuna, turned into trial specs when Tune asks.

Optuna is the extra ``search``. One objective is searched by TPE (Bergstra et al. 2011,
https://papers.nips.cc/paper/4443), several by multi-objective TPE or NSGA-II (Deb et al. 2002,
https://doi.org/10.1109/4235.996017).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from ray.tune.search import Searcher

from pipelines.core.errors import ConfigError
from pipelines.search.axes import Axis, Numbers, Point, Value
from pipelines.search.candidates import log_skipped
from pipelines.search.trial import Objective, TrialSpec
from pipelines.search.trial_worker import FOLDER

SEED = "seed"

MOST_TWINS = 3
"""Proposals of points under way in a row, after which a searcher is asked again when a trial has ended."""


class ListSearcher(Searcher):
    """Proposes points one by one, each with every seed.

    Args:
        points: possibly endless.
        seeds: of training.
    """

    def __init__(self, points: Iterator[Point], seeds: tuple[int, ...]) -> None:
        super().__init__()
        self._rest = ({**point, SEED: seed} for point in points for seed in seeds)

    def suggest(self, trial_id: str) -> Any:
        """The next point with its seed, or Tune's marker for the end."""
        return next(self._rest, Searcher.FINISHED)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: a list does not learn."""


class SpecSearcher(Searcher):
    """Turns the proposals of another searcher into trial specs; Tune knows their folders alone.

    Untrainable points are logged, and the other searcher learns that they failed. A point that a trial is
    training already gets no second trial, which would wait for the first one's folder and take its place
    meanwhile: the other searcher learns of its score twice.

    Args:
        searcher: proposes points.
        seed: of training, where a proposal has none.
        add_trial: makes and stores the spec of a point and a seed.
    """

    def __init__(self, searcher: Searcher, seed: int, add_trial: Callable[[Point, int], TrialSpec]) -> None:
        super().__init__(searcher.metric, searcher.mode)
        self._searcher, self._seed, self._add_trial = searcher, seed, add_trial
        self._names: dict[str, list[str]] = {}
        self._running: dict[str, str] = {}
        self._is_waiting = False

    def suggest(self, trial_id: str) -> Any:
        """The next trial; None if there is none at the moment.

        Raises:
            ConfigError: too many points in a row cannot be trained.
        """
        refused, twins = 0, 0
        while not self._is_waiting:
            name = f"{trial_id}-{refused + twins}"
            proposed: Any = self._searcher.suggest(name)
            if proposed is None or proposed == Searcher.FINISHED:
                return proposed
            point = dict(proposed)
            try:
                folder = str(self._add_trial(point, point.pop(SEED, self._seed)).folder)
            except ConfigError as error:
                self._searcher.on_trial_complete(name, error=True)
                refused += 1
                log_skipped(error, refused)
                continue
            trainer = self._running.setdefault(folder, trial_id)
            self._names.setdefault(trainer, []).append(name)
            if trainer == trial_id:
                return {FOLDER: folder}
            twins += 1
            self._is_waiting = twins == MOST_TWINS
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass a score on."""
        self._searcher.on_trial_result(self._names[trial_id][0], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass the end of a trial on."""
        for name in self._names[trial_id]:
            self._searcher.on_trial_complete(name, result, error)
        self._running = {folder: other for folder, other in self._running.items() if other != trial_id}
        self._is_waiting = False

    def __getstate__(self) -> dict[str, Any]:
        """Empty: Tune pickles searchers for its own way to resume, which is not used here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a search resumes from the folders of its trials."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, as nothing was saved."""


def make_optuna_searcher(
    axes: Sequence[Axis],
    objectives: Sequence[Objective],
    known: Sequence[Point],
    *,
    sampler: Literal["tpe", "nsga2"],
    seed: int,
) -> Searcher:
    """A searcher that learns from scores which points to propose.

    Args:
        axes: a distribution before its own options.
        objectives: what trials report.
        known: points of a resumed search, which are proposed first, in that order.
        sampler: one of Optuna's.
        seed: of the sampler.

    Raises:
        ConfigError: Optuna is not installed.
    """
    try:
        import optuna
        from ray.tune.search.optuna import OptunaSearch
    except ImportError as error:
        raise ConfigError(
            "search.algorithm optuna needs the package optuna: pip install 'tunable-zoo[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
    names: list[str] = [o.name for o in objectives]
    modes: list[str] = [o.mode for o in objectives]
    return OptunaSearch(
        space=lambda trial: _suggest_point(axes, trial),
        metric=names if len(names) > 1 else names[0],
        mode=modes if len(modes) > 1 else modes[0],
        points_to_evaluate=[dict(point) for point in known],
        sampler=samplers[sampler](seed=seed),
    )


def _suggest_point(axes: Sequence[Axis], trial: Any) -> None:
    point: dict[str, Value] = {}
    for axis in axes:
        if not axis.applies_to(point):
            continue
        domain, name = axis.domain, axis.name
        if domain.values or not isinstance(domain, Numbers):
            point[name] = trial.suggest_categorical(name, list(domain.values))
        else:
            low, high = domain.ends
            suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
            point[name] = suggest(name, low, high, log=domain.log)
