"""Runs trials on Ray Tune until they are done, time is up or somebody asks to stop.

What Tune writes itself is thrown away: trials keep their own state, whole or not at all, and a search that
goes on hands the same points out again, which then tell what they know.
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
from pipelines.search.book import Book
from pipelines.search.config import SearchConfig
from pipelines.search.scoring.scorer import Scorer
from pipelines.search.search import Search
from pipelines.search.trial import FOLDER, run_trial
from pipelines.search.trial_record import Objective
from pipelines.training.config import ComputeConfig

LOOK_EVERY_S = 0.5
WITHOUT_END = -1
TUNE = "tune-"


@dataclass
class _Stop(Stopper):
    """Ends all trials when asked to."""

    asked: bool = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.asked


@dataclass
class _News(Callback):
    """Hands Tune's news on."""

    book: Book
    steps: int

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as for the searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.book.started(_folder(trial))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        # Not called for trials that end because all do.
        self.book.ended(_folder(trial), "", pruned=trial.last_result.get("step", 0) < self.steps)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.book.ended(_folder(trial), _reason(trial), pruned=False)


def _folder(trial: Any) -> Path:
    return Path(trial.config[FOLDER])


def _reason(trial: Any) -> str:
    """The last line of what went wrong, not the whole traceback."""
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "its process died"


def drive(
    search: Search,
    searcher: Searcher,
    book: Book,
    *,
    objective: Objective,
    concurrent: int,
    over: Callable[[], bool],
) -> None:
    """Run trials in the Ray cluster that this process is connected to.

    Args:
        search: the search.
        searcher: hands out orders.
        book: told as trials begin and end.
        objective: that ASHA compares trials by.
        concurrent: trials at a time.
        over: asked twice a second whether to end all trials.

    Raises:
        TrainingError: Tune itself failed.
    """
    _quieten()
    for leftover in search.folder.glob(f"{TUNE}*"):  # of a driver that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    stop, name = _Stop(), f"{TUNE}{uuid.uuid4().hex[:12]}"
    config = search.config
    try:
        tuner = tune.Tuner(
            tune.with_resources(_trainable(search.scorer), _resources(search.compute)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=_scheduler(config, objective),
                num_samples=search.count or WITHOUT_END,
                max_concurrent_trials=concurrent,
                # A process is seconds of imports. But workers of a trial that is stopped leave more slowly
                # than Tune waits for a process that it wants back, and the next trial would fail for that.
                reuse_actors=config.workers == 1,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(search.folder),
                stop=stop,
                callbacks=[_News(book, config.steps)],
                failure_config=tune.FailureConfig(max_failures=config.max_failures),
                verbose=0,
            ),
        )
        _watch(tuner, stop, over)
    finally:
        shutil.rmtree(search.folder / name, ignore_errors=True)


def _quieten() -> None:
    # Tune's own tables and files would say what ours say, and its complaints are about the lack of its own.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def _trainable(scorer: Scorer) -> Callable[[dict[str, Any]], None]:
    def trial(given: dict[str, Any]) -> None:
        run_trial(given, scorer, tune.report)

    return trial


def _resources(compute: ComputeConfig) -> PlacementGroupFactory:
    if compute.runner == "local":
        return PlacementGroupFactory([{"CPU": compute.threads, **({"GPU": 1} if compute.use_gpu else {})}])
    # Its workers ask for themselves, and the driver beside them waits; but a group wants something in it.
    return PlacementGroupFactory([{"CPU": 0, "memory": 1}])


def _scheduler(config: SearchConfig, objective: Objective) -> TrialScheduler:
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


def _watch(tuner: tune.Tuner, stop: _Stop, over: Callable[[], bool]) -> None:
    def look() -> None:
        stop.asked = stop.asked or over()

    try:
        watched(tuner.fit, look, LOOK_EVERY_S)
    except Exception as fault:
        cause = fault.__cause__ or fault
        raise TrainingError(f"Ray Tune failed: {' '.join(str(cause).split())[-300:]}") from fault
