"""Runs the trials of a search on Ray Tune until they are done, time is up or a stop is requested.

Tune's own files are deleted: trials keep their own state, and a resumed search hands out the same points
again, whose trials then report the scores they have.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, PlacementGroupFactory, Stopper
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from pipelines.core.errors import TrainingError
from pipelines.core.ray_cluster import watched
from pipelines.search.config import SearchConfig
from pipelines.search.scorer import Scorer
from pipelines.search.search import Search
from pipelines.search.store import TrialStore
from pipelines.search.trial import Objective
from pipelines.search.trial_worker import FOLDER, run_trial
from pipelines.training.config import ComputeConfig

LOOK_EVERY_S = 0.5
UNLIMITED = -1
TUNE = "tune-"


@dataclass
class _StopAll(Stopper):
    """Ends all trials on request."""

    requested: bool = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.requested


@dataclass
class _StoreCallback(Callback):
    """Passes Tune's events on to the store."""

    store: TrialStore
    steps: int

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as for the searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.store.on_start(Path(trial.config[FOLDER]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        # Not called for trials that end because all do.
        pruned = trial.last_result.get("step", 0) < self.steps
        self.store.on_end(Path(trial.config[FOLDER]), "", pruned=pruned)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.store.on_end(Path(trial.config[FOLDER]), _last_error_line(trial), pruned=False)


def _last_error_line(trial: Any) -> str:
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "its process died"


def run_tune(
    search: Search,
    searcher: Searcher,
    store: TrialStore,
    *,
    objective: Objective,
    concurrent: int,
    is_over: Callable[[], bool],
) -> None:
    """Run trials in the Ray cluster that this process is connected to.

    Args:
        search: the search.
        searcher: hands out trial specs.
        store: notified as trials start and end.
        objective: that ASHA compares trials by.
        concurrent: the most trials at the same time.
        is_over: polled twice a second; true ends all trials.

    Raises:
        TrainingError: Tune itself failed.
    """
    _silence_tune()
    for leftover in search.folder.glob(f"{TUNE}*"):  # of a killed driver
        shutil.rmtree(leftover, ignore_errors=True)
    stop, name = _StopAll(), f"{TUNE}{uuid.uuid4().hex[:12]}"
    config = search.config
    try:
        tuner = tune.Tuner(
            tune.with_resources(_make_trainable(search.scorer), _make_resources(search.compute)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=_make_scheduler(config, objective),
                num_samples=search.count or UNLIMITED,
                max_concurrent_trials=concurrent,
                # Starting a process costs seconds of imports. But the workers of a stopped trial take longer
                # to leave than Tune waits for an actor to be reset, and the next trial would fail.
                reuse_actors=config.workers == 1,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(search.folder),
                stop=stop,
                callbacks=[_StoreCallback(store, config.steps)],
                failure_config=tune.FailureConfig(max_failures=config.max_failures),
                verbose=0,
            ),
        )
        _fit_watched(tuner, stop, is_over)
    finally:
        shutil.rmtree(search.folder / name, ignore_errors=True)


def _silence_tune() -> None:
    # Tune's tables and files repeat ours, and its warnings are about the lack of its own.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def _make_trainable(scorer: Scorer) -> Callable[[dict[str, Any]], None]:
    def trial(given: dict[str, Any]) -> None:
        run_trial(given, scorer, tune.report)

    return trial


def _make_resources(compute: ComputeConfig) -> PlacementGroupFactory:
    if compute.runner == "local":
        return PlacementGroupFactory([{"CPU": compute.threads, **({"GPU": 1} if compute.use_gpu else {})}])
    # Ray Train requests its workers' resources itself; but a placement group must not be empty.
    return PlacementGroupFactory([{"CPU": 0, "memory": 1}])


def _make_scheduler(config: SearchConfig, objective: Objective) -> TrialScheduler:
    if config.asha is None:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    return ASHAScheduler(
        time_attr="step",
        metric=objective.name,
        mode=objective.mode,
        max_t=config.steps,
        grace_period=config.asha.grace_steps,
        reduction_factor=config.asha.reduction,
    )


def _fit_watched(tuner: tune.Tuner, stop: _StopAll, is_over: Callable[[], bool]) -> None:
    def look() -> None:
        stop.requested = stop.requested or is_over()

    try:
        watched(tuner.fit, look, LOOK_EVERY_S)
    except Exception as error:
        cause = error.__cause__ or error
        raise TrainingError(f"Ray Tune failed: {' '.join(str(cause).split())[-300:]}") from error
