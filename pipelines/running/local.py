"""Launching a job: on Ray, or without it in this process or in those that torchrun starts.

``torchrun --nproc-per-node 4 --no-python tunable run train`` runs the whole stage in every process. Process
0 is the main one: it alone takes the lock, tracks and writes; the others compute their shares.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from pipelines.core.errors import ConfigError
from pipelines.core.torchrun import local_rank, rank, world_size
from pipelines.running.job import TrainJob, run_worker
from pipelines.training.batches import Share
from pipelines.training.loop import Hooks


def launch_job(job: TrainJob, hooks: Hooks) -> None:
    """Train to the last step, by the runner that the options name.

    Args:
        job: the run.
        hooks: further callbacks. On Ray ``stop`` is asked in this process, ``at_checkpoint`` and
            ``at_resume``, which must be picklable, are called on the main worker, and the others are not.

    Raises:
        ConfigError: the runner cannot start, with the reason.
        Stopped: ``hooks.stop`` asked to.
        TrainingError: the run failed.
    """
    if job.config.compute.runner == "local":
        run_local(job, hooks)
    else:
        from pipelines.running.ray.driver import run_on_ray

        run_on_ray(job, hooks)


def run_local(job: TrainJob, hooks: Hooks) -> None:
    """Train to the last step without Ray; checkpoints, log and sample pictures go into the job's folder.

    Args:
        job: the run; under torchrun all processes take that of process 0.
        hooks: further callbacks.

    Raises:
        ConfigError: a GPU is requested and torch finds none for this process, or this process has other code
            than process 0.
        Stopped: ``hooks.stop`` asked to.
        TrainingError: the loss is not finite.
    """
    share = Share(rank(), world_size())
    device = _select_device(use_gpu=job.config.compute.use_gpu)
    with _process_group(share, device):
        run_worker(_receive_job(job, share, device), share, device, hooks)


def _receive_job(job: TrainJob, share: Share, device: torch.device) -> TrainJob:
    """The job of process 0, whose options and code are those of the run."""
    if share.count == 1:
        return job
    received = [job]
    dist.broadcast_object_list(received, src=0, device=device)
    return received[0]


def _select_device(*, use_gpu: bool) -> torch.device:
    if not use_gpu:
        return torch.device("cpu")
    own = local_rank()
    if own >= torch.cuda.device_count():
        raise ConfigError(
            f"train.compute.use_gpu: expected a GPU for process {own} of this machine, torch finds "
            f"{torch.cuda.device_count()}; set it to false or start fewer processes"
        )
    torch.cuda.set_device(own)
    return torch.device("cuda", own)


@contextmanager
def _process_group(share: Share, device: torch.device) -> Iterator[None]:
    """The process group of all shares, for the length of the block."""
    if share.count == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()
