"""The training loop: tensors, an optimizer and a ``report`` callable. It knows nothing of Ray.

Every worker runs it. The workers' gradients meet in ``wrap`` (DistributedDataParallel, or nothing), and
only worker 0 writes checkpoints and pictures.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from pipelines.data.photos import PhotoSet
from pipelines.errors import TrainingError
from pipelines.streams import stream_seed
from pipelines.tasks import Task, make_task
from pipelines.train.batches import Batches, Share
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import OptimizerConfig, TrainConfig
from tunable_models import TunableNetwork, build, make_tunable


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
    """What a worker needs; the same on every worker but ``share`` and ``device``."""

    config: TrainConfig
    photos: Path
    store: CheckpointStore
    share: Share
    device: torch.device


Report = Callable[[Progress], None]
Wrap = Callable[[nn.Module], nn.Module]
AtCheckpoint = Callable[[int, TunableNetwork], None]


def new_network(config: TrainConfig, task: Task) -> TunableNetwork:
    """The untrained network of a run, the same on every worker."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(config.seed, "initialisation"))
        plain = build(config.network.architecture, **config.network.config)
        return make_tunable(plain, task.space, config.network.basis)


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
    task = make_task(config.task)
    batches = Batches(PhotoSet.open(job.photos), task, config, job.device)
    network = new_network(config, task).to(job.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.optimizer.lr)
    scheduler = LambdaLR(optimizer, _schedule(config.optimizer, config.steps))
    start = _resume(job, network, optimizer, scheduler)
    model = wrap(network)
    meter = _Meter(config.batch_size, job)
    for step in range(start, config.steps):
        batch = batches(step, job.share)
        loss = task.loss(model(batch.inputs, omega=batch.omega), batch.targets, batch.omega).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), config.optimizer.clip_norm)
        optimizer.step()
        scheduler.step()
        meter.add(loss.detach())
        done = step + 1
        if done % config.log_every == 0 or done == config.steps:
            report(meter.progress(done, float(scheduler.get_last_lr()[0]), norm))
        if job.share.rank == 0 and (done % config.checkpoint_every == 0 or done == config.steps):
            job.store.save(done, _state(network, optimizer, scheduler))
            at_checkpoint(done, network)
    return network


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


def _schedule(config: OptimizerConfig, steps: int) -> Callable[[int], float]:
    """Factor of the learning rate: linear warm-up, then half a cosine to zero."""

    def factor(step: int) -> float:
        if step < config.warmup_steps:
            return (step + 1) / config.warmup_steps
        part = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, part)))

    return factor


def _state(network: nn.Module, optimizer: torch.optim.Optimizer, scheduler: LambdaLR) -> dict[str, Any]:
    # No random state: every stream is keyed by (seed, step, index), see pipelines.streams.
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }


def _resume(job: Job, network: nn.Module, optimizer: torch.optim.Optimizer, scheduler: LambdaLR) -> int:
    """Load the newest whole checkpoint; the step to go on from."""
    step = _agree(job)
    if step is None:
        return 0
    state = job.store.load(step)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    return step


def _agree(job: Job) -> int | None:
    # Worker 0 decides: on a shared file system the others may not see its newest folder yet.
    decision: list[int | None] = [job.store.newest()] if job.share.rank == 0 else [None]
    if job.share.count > 1:
        dist.broadcast_object_list(decision, src=0)
    return decision[0]
