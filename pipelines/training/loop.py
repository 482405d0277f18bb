"""The training loop: tensors, an optimizer and a ``report`` callable. It knows nothing of Ray.

Every worker runs it, and only worker 0 writes checkpoints and pictures.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from pipelines.data.photos import PhotoSet
from pipelines.tasks import Task, make_task
from pipelines.training.agreement import Agreement
from pipelines.training.batches import Batches, Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.learner import Learner
from pipelines.training.metrics import Meter, Progress
from pipelines.training.validation import Validation, evaluating
from tunable_models import TunableNetwork


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker needs; the same on every worker but ``share`` and ``device``.

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
    def leads(self) -> bool:
        """Whether this worker writes for all."""
        return self.share.rank == 0


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What else happens on a worker.

    Attributes:
        report: called on every worker, every ``log_every`` steps.
        at_checkpoint: called on worker 0 after each checkpoint, with what would be published now.
        stop: whether this worker was asked to stop; asked at every step.
        ready: called on every worker before the first step, when everything is in place.
    """

    report: Callable[[Progress], None] = field(default=lambda progress: None)
    at_checkpoint: Callable[[int, TunableNetwork], None] = field(default=lambda step, network: None)
    stop: Callable[[], bool] = field(default=lambda: False)
    ready: Callable[[], None] = field(default=lambda: None)


class Stopped(Exception):
    """The run was asked to stop, and did so behind a checkpoint of ``step``; None before any worker began."""

    def __init__(self, step: int | None) -> None:
        super().__init__(step)
        self.step = step

    def __str__(self) -> str:
        begun = f"stopped behind a checkpoint of step {self.step}"
        return begun if self.step is not None else "stopped before a worker began"


def train(job: Job, hooks: Hooks) -> TunableNetwork:
    """Train to the last step, from the newest whole checkpoint if there is one.

    Args:
        job: what to train on which share.
        hooks: what else happens.

    Returns:
        The trained network, or its moving average; equal on every worker.

    Raises:
        Stopped: a worker was asked to; on every worker, at the same step.
        TrainingError: the loss is not finite.
        CheckpointError: checkpoints exist and none is whole.
    """
    torch.set_num_threads(job.config.compute.threads)
    task = make_task(job.config.task, job.root).to(job.device)
    return _Training(job, hooks, task).run()


class _Training:
    """One worker's run."""

    def __init__(self, job: Job, hooks: Hooks, task: Task) -> None:
        self._job, self._hooks = job, hooks
        config, workers = job.config, job.share.count
        self._batches = Batches(job.photos, task, config, job.device, job.share)
        self._learner = Learner(config, task, job.device, job.root, workers)
        self._meter = Meter(config.batch_size, len(job.photos), workers, job.device)
        self._validation = _validation(job, task)
        self._agreed = Agreement(hooks.stop, workers, job.device)

    def run(self) -> TunableNetwork:
        config, learner = self._job.config, self._learner
        self._resume()
        learner.start()
        self._hooks.ready()
        self._meter.start()
        with closing(self._batches.from_step(learner.done)) as batches:
            while learner.done < config.steps:
                self._meter.add(learner.step(next(batches)))
                stop = self._agreed()
                if self._due(config.log_every):
                    self._report()
                if self._due(config.checkpoint_every):
                    self._save({})
                if stop and learner.done < config.steps:
                    batches.close()  # or its processes, which may be told to end too, fail during a save
                    self._stop()
        self._agreed.close()
        return learner.result

    def _due(self, every: int) -> bool:
        return self._learner.done % every == 0 or self._learner.done == self._job.config.steps

    def _report(self) -> None:
        done = self._learner.done
        progress = self._meter.progress(done, self._learner.lr)
        if self._validation is not None and self._looks(done):
            progress = replace(progress, validation=self._validation(self._learner.result))
            self._meter.start()
        self._hooks.report(progress)

    def _looks(self, done: int) -> bool:
        """Whether a multiple of ``validation.every`` lies between the last point and this one."""
        every, before = self._job.config.validation.every, done - self._job.config.log_every
        return done // every > before // every or done == self._job.config.steps

    def _stop(self) -> None:
        done, config = self._learner.done, self._job.config
        if done % config.checkpoint_every:
            self._save({"unlogged": self._meter.unlogged(done)} if done % config.log_every else {})
        if self._job.share.count > 1:
            dist.barrier()  # whoever starts the processes ends them all when the first one has left
        raise Stopped(done)

    def _save(self, more: dict[str, Any]) -> None:
        if not self._job.leads:
            return
        self._job.store.save(self._learner.done, self._learner.state() | more)
        with evaluating(self._learner.result):
            self._hooks.at_checkpoint(self._learner.done, self._learner.result)

    def _resume(self) -> None:
        """Load the newest whole checkpoint, if there is one."""
        # Worker 0 decides: on a shared file system the others may not see its newest folder yet.
        decision: list[int | None] = [self._job.store.newest()] if self._job.leads else [None]
        if self._job.share.count > 1:
            dist.broadcast_object_list(decision, src=0, device=self._job.device)
        if decision[0] is None:
            return
        state = self._job.store.load(decision[0])
        self._learner.load(state)
        if "unlogged" in state:
            self._meter.resume(state["unlogged"], leads=self._job.leads)


def _validation(job: Job, task: Task) -> Validation | None:
    if job.validation is None or not len(job.validation):
        return None
    return Validation(
        job.validation,
        task,
        crop_px=job.config.validation.crop_px,
        unit=task.scale * job.config.network.contract().multiple,
        seed=job.config.seed,
        share=job.share,
        device=job.device,
    )
