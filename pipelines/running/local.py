"""Training without Ray: in this process (a laptop, a notebook, a rented GPU), or in torchrun's.

``torchrun --nproc-per-node 4 -m pipelines train`` runs the whole stage in every process. Process 0 leads:
it alone takes the lock, tracks and writes; the others compute their shares.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from pipelines.core.errors import ConfigError
from pipelines.core.torchrun import local_rank, rank, world_size
from pipelines.running.worker import Assignment, work
from pipelines.training.batches import Share
from pipelines.training.config import ComputeConfig
from pipelines.training.loop import Hooks


def run_local(assignment: Assignment, compute: ComputeConfig, hooks: Hooks) -> None:
    """Train to the last step; checkpoints, log and sample pictures go into the assignment's folder.

    Args:
        assignment: the run; under torchrun that of process 0 counts, for all.
        compute: of the run.
        hooks: what else happens.

    Raises:
        ConfigError: a GPU is asked for and torch finds none for this process, or this process has other
            code than process 0.
        Stopped: somebody asked to.
        TrainingError: the loss is not finite.
    """
    share, device = Share(rank(), world_size()), _device(compute)
    with _group(share, device):
        work(_leaders(assignment, share, device), share, device, hooks)


def _leaders(assignment: Assignment, share: Share, device: torch.device) -> Assignment:
    """The assignment of process 0, whose options and code are those of the run."""
    if share.count == 1:
        return assignment
    theirs: list[dict[str, Any]] = [assignment.plain()]
    dist.broadcast_object_list(theirs, src=0, device=device)
    return Assignment(**theirs[0])


def _device(compute: ComputeConfig) -> torch.device:
    if not compute.use_gpu:
        return torch.device("cpu")
    own = local_rank()
    if own >= torch.cuda.device_count():
        raise ConfigError(
            f"train.compute.use_gpu asks for a GPU for process {own} of this machine, torch finds "
            f"{torch.cuda.device_count()}; set it to false or start fewer processes"
        )
    torch.cuda.set_device(own)
    return torch.device("cuda", own)


@contextmanager
def _group(share: Share, device: torch.device) -> Iterator[None]:
    """The process group of all shares, for the length of the block."""
    if share.count == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()
