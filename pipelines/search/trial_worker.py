"""Runs one trial in a process of Ray Tune: trains, scores at checkpoints, and reports the scores to Tune.

A trial resumes from its own checkpoints. Scores of earlier attempts are reported again, so that schedulers
and searchers of a resumed search know everything that was known.

A run of one worker trains inside the trial's process. A run of several has workers of its own from Ray
Train, which take most of a minute to start, and write scores that the trial passes on.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.core.errors import DivergedError, TrainingError
from pipelines.running.local import launch_job
from pipelines.search.scorer import Scorer
from pipelines.search.trial import TrialSpec
from pipelines.training.loop import Hooks, Stopped
from tunable_models import TunableNetwork

FOLDER = "folder"
"""The only value of a trial that Tune knows; everything else is in that folder."""

LOOK_EVERY_S = 0.5

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class ScoreCheckpoint:
    """Hook that scores a network at its checkpoints; it is pickled to the main worker.

    Attributes:
        spec: of the trial.
        scorer: of the search.
        report: called after each score.
    """

    spec: TrialSpec
    scorer: Scorer
    report: Callable[[], None] = lambda: None

    def __call__(self, step: int, network: TunableNetwork) -> None:
        """Score this step, unless the checkpoint is only there because of a stop."""
        config = self.spec.config
        if step % config.checkpoint_every == 0 or step == config.steps:
            self.spec.log_score(step, self.scorer(network))
            self.report()

    def score_missed(self, step: int, network: TunableNetwork) -> None:
        """Score what a run resumes from, if the worker that wrote it died before it had a score.

        Training resumes behind it, so that a scheduler would mistake the next score for this one.
        """
        if step not in dict(self.spec.scores()):
            self(step, network)


class ScoreReporter:
    """Reports the scores in a trial's log that Tune does not know yet."""

    def __init__(self, spec: TrialSpec, report: Report) -> None:
        self._spec, self._report = spec, report
        self.step = 0

    def __call__(self) -> None:
        """Report them, in order."""
        for step, score in self._spec.scores():
            if step > self.step:
                self.step = step
                self._report({**score.measures, "step": step})


def run_trial(given: dict[str, Any], scorer: Scorer, report: Report) -> None:
    """Train and score one trial; Tune calls this in a process of its own.

    Args:
        given: Tune's config of the trial.
        scorer: of the search.
        report: to Tune; it raises when the trial is to stop.

    Raises:
        DivergedError: non-finite numbers, now or in an earlier attempt.
        TrainingError: the run failed.
    """
    spec = TrialSpec.read(Path(given[FOLDER]))
    with spec.lock():
        outcome = spec.outcome()
        if outcome.get("lasting"):
            raise DivergedError(outcome["reason"])
        reporter = ScoreReporter(spec, report)
        reporter()
        if outcome.get("state") == "pruned":
            return
        spec.clear_outcome()
        try:
            if reporter.step < spec.config.steps:
                _train_trial(spec, scorer, reporter)
        except DivergedError as error:
            spec.set_outcome("failed", str(error), lasting=True)
            raise


def _train_trial(spec: TrialSpec, scorer: Scorer, reporter: ScoreReporter) -> None:
    config = spec.config
    _score_missed_checkpoint(spec, scorer, reporter)
    if reporter.step == config.steps:
        return
    if config.compute.runner == "local":
        launch_job(spec.job, _make_hooks(ScoreCheckpoint(spec, scorer, reporter)))
    else:
        _train_on_workers(spec, scorer, reporter)
        _score_missed_checkpoint(spec, scorer, reporter)


def _score_missed_checkpoint(spec: TrialSpec, scorer: Scorer, reporter: ScoreReporter) -> None:
    """Score the last checkpoint if its writer died in between; the loop does so with earlier ones."""
    step = spec.job.store.newest()
    if step != spec.config.steps or step in dict(spec.scores()):
        return
    network = spec.job.load_network(step)
    # On the CPU: the process of a trial with several workers has no GPU.
    ScoreCheckpoint(spec, replace(scorer, device="cpu"), reporter)(step, network)


def _make_hooks(score: ScoreCheckpoint, stop: Callable[[], bool] = lambda: False) -> Hooks:
    return Hooks(at_checkpoint=score, at_resume=score.score_missed, stop=stop)


def _train_on_workers(spec: TrialSpec, scorer: Scorer, reporter: ScoreReporter) -> None:
    stop = [False]
    hooks = _make_hooks(ScoreCheckpoint(spec, scorer), stop=lambda: stop[0])
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(launch_job, spec.job, hooks)
        try:
            while not training.done():
                reporter()
                time.sleep(LOOK_EVERY_S)
        except BaseException:  # Tune ends the trial: its workers stop after a checkpoint
            stop[0] = True
            raise
    try:
        training.result()
    except Stopped as stopped:
        raise TrainingError(f"the workers stopped at step {stopped.step} without a request") from stopped
    reporter()
