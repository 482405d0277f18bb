"""One trial: trains what its order says, scores it now and then, and tells Ray Tune.

A trial goes on from its own checkpoints. What it reported before it tells again, so that schedulers and
searchers of a search that goes on know all that was known.

A run of one worker trains inside the trial's process. One of several has workers of its own from Ray
Train, whose start takes most of a minute, and which write scores that the trial passes on.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.core.errors import DivergedError, TrainingError
from pipelines.running.launch import launch
from pipelines.search.order import Order
from pipelines.search.scoring.scorer import Scorer
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.loop import Hooks, Stopped
from pipelines.training.result import trained_network
from tunable_models import TunableNetwork

FOLDER = "folder"
"""What a trial is told by Tune; the rest stands there."""

LOOK_EVERY_S = 0.5

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Scoring:
    """Scores a network at its checkpoints; travels to the worker that leads.

    Attributes:
        order: of the trial.
        scorer: of the search.
        report: called with each score.
    """

    order: Order
    scorer: Scorer
    report: Callable[[int], None] = lambda step: None

    def __call__(self, step: int, network: TunableNetwork) -> None:
        """Score this step, unless it is a checkpoint of somebody who stops."""
        config = self.order.config
        if step % config.checkpoint_every == 0 or step == config.steps:
            self.order.note_score(step, self.scorer(network))
            self.report(step)


def run_trial(given: dict[str, Any], scorer: Scorer, report: Report) -> None:
    """Train and score; what Tune calls in a process of its own.

    Args:
        given: by Tune.
        scorer: of the search.
        report: to Tune; it raises when the trial is to stop.

    Raises:
        DivergedError: its numbers are not finite, now or in an earlier try.
        TrainingError: the run failed.
    """
    order = Order.read(Path(given[FOLDER]))
    with order.alone():
        outcome = order.outcome()
        if outcome.get("lasting"):
            raise DivergedError(outcome["reason"])
        told = _Told(order, report)
        told()
        if outcome.get("state") == "pruned":
            return
        order.begin()
        try:
            if told.step < order.config.steps:
                _train(order, scorer, told)
        except DivergedError as error:
            order.end("failed", str(error), lasting=True)
            raise


class _Told:
    """Tells Tune the scores that it does not know yet."""

    def __init__(self, order: Order, report: Report) -> None:
        self._order, self._report = order, report
        self.step = 0

    def __call__(self, _: int = 0) -> None:
        for step, score in self._order.scores():
            if step > self.step:
                self.step = step
                self._report({**score.measures, "step": step})


def _train(order: Order, scorer: Scorer, told: _Told) -> None:
    config = order.config
    _make_up(order, scorer, told)
    if told.step == config.steps:
        return
    if config.compute.runner == "local":
        launch(order.assignment, config.compute, Hooks(at_checkpoint=Scoring(order, scorer, told)))
    else:
        _train_with_workers(order, scorer, told)
        _make_up(order, scorer, told)


def _make_up(order: Order, scorer: Scorer, told: _Told) -> None:
    """Score the newest checkpoint, if whoever wrote it was killed before its score.

    Nobody would later: training goes on behind it, and a scheduler would take the next score for this one.
    """
    store = CheckpointStore(order.folder / "checkpoints", order.assignment.fingerprint)
    step = store.newest()
    if step is None or step in dict(order.scores()):
        return
    network = trained_network(order.config, store, Path(order.assignment.root), step).eval()
    # On the CPU: the process of a trial of several workers has no GPU.
    Scoring(order, replace(scorer, device="cpu"), told)(step, network)


def _train_with_workers(order: Order, scorer: Scorer, told: _Told) -> None:
    stop = [False]
    hooks = Hooks(at_checkpoint=Scoring(order, scorer), stop=lambda: stop[0])
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(launch, order.assignment, order.config.compute, hooks)
        try:
            _pass_on(training, told)
        except BaseException:  # Tune ends the trial: its workers stop behind a checkpoint
            stop[0] = True
            raise
    try:
        training.result()
    except Stopped as stopped:
        raise TrainingError(f"the workers stopped at step {stopped.step}, and nobody asked") from stopped
    told()


def _pass_on(training: "Future[None]", told: _Told) -> None:
    while not training.done():
        told()
        time.sleep(LOOK_EVERY_S)
