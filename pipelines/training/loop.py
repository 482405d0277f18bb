"""The training loop in plain torch: tensors, an optimizer and a ``report`` callable. It does not know Ray.

Every worker runs it, and only the main worker, number 0, writes checkpoints and pictures.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from pipelines.data.photos import PhotoSet
from pipelines.measure.runner import evaluation_mode
from pipelines.tasks import Task, make_task
from pipelines.training.batches import Batches, Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.checkpoint_writer import CheckpointWriter
from pipelines.training.collectives import StopConsensus
from pipelines.training.config import TrainConfig
from pipelines.training.learner import Learner
from pipelines.training.log import Progress
from pipelines.training.metrics import MetricsAccumulator
from pipelines.training.validation import Validation
from tunable_models import TunableNetwork


@dataclass(frozen=True, kw_only=True)
class LoopInputs:
    """Inputs of the loop on one worker; the same on every worker but ``share`` and ``device``.

    Attributes:
        config: of the run.
        photos: to train on.
        store: of the run's checkpoints.
        share: which part of every batch.
        device: of the network.
        validation: held-out photographs; None or an empty set for no validation.
        root: where relative paths in the options start.
    """

    config: TrainConfig
    photos: PhotoSet
    store: CheckpointStore
    share: Share
    device: torch.device
    validation: PhotoSet | None = None
    root: Path = Path()

    @property
    def is_main(self) -> bool:
        """Whether this worker writes for all."""
        return self.share.rank == 0


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Callbacks of the loop on one worker.

    Attributes:
        report: called on every worker, every ``log_every`` steps.
        at_checkpoint: called on the main worker at each checkpoint, with the network to publish; the
            checkpoint may still be on its way to the disk.
        at_resume: called in the same way with what a run resumes from.
        stop: whether this worker was asked to stop; asked at every step.
        ready: called on every worker before the first step, when everything is in place.
    """

    report: Callable[[Progress], None] = field(default=lambda progress: None)
    at_checkpoint: Callable[[int, TunableNetwork], None] = field(default=lambda step, network: None)
    at_resume: Callable[[int, TunableNetwork], None] = field(default=lambda step, network: None)
    stop: Callable[[], bool] = field(default=lambda: False)
    ready: Callable[[], None] = field(default=lambda: None)


class Stopped(Exception):
    """The run stopped as asked, after a checkpoint of ``step``; None if no worker had started."""

    def __init__(self, step: int | None) -> None:
        super().__init__(step)
        self.step = step

    def __str__(self) -> str:
        if self.step is None:
            return "stopped before any worker started"
        return f"stopped after a checkpoint of step {self.step}"


def run_training_loop(inputs: LoopInputs, hooks: Hooks) -> TunableNetwork:
    """Train to the last step, from the newest complete checkpoint if there is one.

    Returns:
        The trained network, or its moving average; equal on every worker.

    Raises:
        Stopped: a worker was asked to; on every worker, at the same step.
        TrainingError: the loss is not finite, or the disk is full.
        DataError: the storage of checkpoints does not take the last one.
        CheckpointError: checkpoints exist, and none is complete.
    """
    torch.set_num_threads(inputs.config.compute.threads)
    task = make_task(inputs.config.task, inputs.root).to(inputs.device)
    return _Loop(inputs, hooks, task).run()


class _Loop:
    def __init__(self, inputs: LoopInputs, hooks: Hooks, task: Task) -> None:
        self._inputs, self._hooks = inputs, hooks
        config, workers, device = inputs.config, inputs.share.count, inputs.device
        self._batches = Batches(inputs.photos, task, config, device, inputs.share)
        self._learner = Learner(config, task, device, inputs.root, workers)
        self._metrics = MetricsAccumulator(config.batch_size, len(inputs.photos), workers, device)
        self._validation = _make_validation(inputs, task)
        self._stop_consensus = StopConsensus(hooks.stop, workers, device)
        self._writer = CheckpointWriter(inputs.store)

    def run(self) -> TunableNetwork:
        config, learner = self._inputs.config, self._learner
        resumed = self._resume()
        learner.start()
        if resumed:
            self._show_network(self._hooks.at_resume)
        self._hooks.ready()
        self._metrics.start_clock()
        with self._writer, closing(self._batches.from_step(learner.done)) as batches:
            while learner.done < config.steps:
                self._writer.check()
                self._metrics.add(learner.step(next(batches)))
                stop = self._stop_consensus()
                if self._is_due(config.log_every):
                    self._report()
                if self._is_due(config.checkpoint_every):
                    self._save({})
                if stop and learner.done < config.steps:
                    batches.close()  # its processes may get the same signal, and would fail during a save
                    self._stop()
            self._writer.wait()
        self._stop_consensus.close()
        if self._inputs.is_main:
            self._inputs.store.push()
        return learner.result

    def _is_due(self, every: int) -> bool:
        return self._learner.done % every == 0 or self._learner.done == self._inputs.config.steps

    def _report(self) -> None:
        done = self._learner.done
        progress = self._metrics.make_point(done, self._learner.lr)
        if self._validation is not None and self._is_validation_due(done):
            progress = replace(progress, validation=self._validation(self._learner.result))
            self._metrics.start_clock()
        self._hooks.report(progress)

    def _is_validation_due(self, done: int) -> bool:
        """Whether a multiple of ``validation.every`` is between the last point and this one."""
        config = self._inputs.config
        every, before = config.validation.every, done - config.log_every
        return done // every > before // every or done == config.steps

    def _stop(self) -> None:
        done, config = self._learner.done, self._inputs.config
        if done % config.checkpoint_every:
            self._save({"unlogged": self._metrics.state(done)} if done % config.log_every else {})
        self._writer.wait()
        if self._inputs.share.count > 1:
            dist.barrier()  # launchers end all processes when the first one has exited
        raise Stopped(done)

    def _save(self, more: dict[str, Any]) -> None:
        if self._inputs.is_main:
            self._writer.save(self._learner.done, self._learner.state() | more)
            self._show_network(self._hooks.at_checkpoint)

    def _show_network(self, hook: Callable[[int, TunableNetwork], None]) -> None:
        if self._inputs.is_main:
            with evaluation_mode(self._learner.result):
                hook(self._learner.done, self._learner.result)

    def _resume(self) -> bool:
        """Load the newest complete checkpoint, if there is one; whether there is."""
        inputs = self._inputs
        # The main worker decides: on a shared file system others may not see its newest folder yet.
        decision: list[int | None] = [inputs.store.newest()] if inputs.is_main else [None]
        if inputs.share.count > 1:
            dist.broadcast_object_list(decision, src=0, device=inputs.device)
        if decision[0] is None:
            return False
        state = inputs.store.load(decision[0])
        self._learner.load(state)
        if "unlogged" in state:
            self._metrics.load(state["unlogged"], is_main=inputs.is_main)
        return True


def _make_validation(inputs: LoopInputs, task: Task) -> Validation | None:
    if inputs.validation is None or not len(inputs.validation):
        return None
    return Validation(
        inputs.validation,
        task,
        crop_px=inputs.config.validation.crop_px,
        unit=task.scale * inputs.config.network.contract().multiple,
        seed=inputs.config.seed,
        share=inputs.share,
        device=inputs.device,
    )
