"""The training loop: tensors, an optimizer and a ``report`` callable. It knows nothing of Ray.

Every worker runs it. The workers' gradients meet in ``wrap`` (DistributedDataParallel, or nothing), and
only worker 0 writes checkpoints and pictures.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.errors import TrainingError
from pipelines.tasks import make_task
from pipelines.train.batches import Batches, Share
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import TrainConfig
from pipelines.train.learner import Learner, Wrap
from tunable_models import TunableNetwork


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One point of the run's log.

    Attributes:
        step: optimizer steps done.
        loss: mean over the steps since the last point, over all workers.
        lr: learning rate of the next step.
        grad_norm: of the last step, before clipping.
        images_per_s: patches through all workers, over the steps since the last point.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    images_per_s: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker needs; the same on every worker but ``share`` and ``device``.

    Attributes:
        config: of the run.
        photos: folder of the training photographs.
        store: of the run's checkpoints.
        share: which part of every batch.
        device: of the network.
        root: where relative paths in the options start.
    """

    config: TrainConfig
    photos: Path
    store: CheckpointStore
    share: Share
    device: torch.device
    root: Path = Path()


Report = Callable[[Progress], None]
AtCheckpoint = Callable[[int, TunableNetwork], None]


def train(
    job: Job,
    report: Report,
    wrap: Wrap = lambda network: network,
    at_checkpoint: AtCheckpoint = lambda step, network: None,
) -> TunableNetwork:
    """Train to the last step, from the newest whole checkpoint if there is one.

    Args:
        job: what to train on which share.
        report: called on every worker, every ``log_every`` steps.
        wrap: makes the workers' gradients one, after the weights are in place.
        at_checkpoint: called on worker 0 after each checkpoint.

    Returns:
        The trained network, equal on every worker.

    Raises:
        TrainingError: the loss is not finite.
        CheckpointError: checkpoints exist and none is whole.
    """
    config = job.config
    torch.set_num_threads(config.compute.threads)
    task = make_task(config.task, job.root).to(job.device)
    batches = Batches(PhotoSet.open(job.photos), task, config, job.device)
    learner = Learner(config, task, job.device, job.root)
    start = _resume(job, learner)
    learner.wrap(wrap)
    meter = _Meter(config.batch_size, job)
    for step in range(start, config.steps):
        loss, norm = learner.step(batches(step, job.share))
        meter.add(loss)
        done = step + 1
        if done % config.log_every == 0 or done == config.steps:
            report(meter.progress(done, learner.lr, norm))
        if job.share.rank == 0 and (done % config.checkpoint_every == 0 or done == config.steps):
            job.store.save(done, learner.state())
            at_checkpoint(done, learner.network)
    return learner.network


class _Meter:
    """Loss and speed since the last point."""

    def __init__(self, batch_size: int, job: Job) -> None:
        self._batch_size, self._job = batch_size, job
        self._reset()

    def _reset(self) -> None:
        self._losses: list[Tensor] = []
        self._since = time.perf_counter()

    def add(self, loss: Tensor) -> None:
        self._losses.append(loss)

    def progress(self, step: int, lr: float, norm: Tensor) -> Progress:
        mean = torch.stack(self._losses).mean()
        if self._job.share.count > 1:
            dist.all_reduce(mean)
            mean /= self._job.share.count
        speed = len(self._losses) * self._batch_size / (time.perf_counter() - self._since)
        self._reset()
        # After the all-reduce, so that every worker sees the same number and none is left waiting.
        if not (math.isfinite(mean.item()) and math.isfinite(norm.item())):
            raise TrainingError(
                f"the loss is {mean.item()} and the gradient's norm {norm.item()} at step {step}; lower "
                "train.optimizer.lr or train.optimizer.clip_norm and run again"
            )
        return Progress(step=step, loss=mean.item(), lr=lr, grad_norm=norm.item(), images_per_s=speed)


def _resume(job: Job, learner: Learner) -> int:
    """Load the newest whole checkpoint; the step to go on from."""
    step = _agree(job)
    if step is None:
        return 0
    learner.load(job.store.load(step))
    return step


def _agree(job: Job) -> int | None:
    # Worker 0 decides: on a shared file system the others may not see its newest folder yet.
    decision: list[int | None] = [job.store.newest()] if job.share.rank == 0 else [None]
    if job.share.count > 1:
        dist.broadcast_object_list(decision, src=0)
    return decision[0]
