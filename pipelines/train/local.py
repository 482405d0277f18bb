"""Training without Ray: in this process (a laptop, a notebook, a rented GPU), or in torchrun's.

``torchrun --nproc-per-node 4 -m pipelines train`` runs the whole stage in every process. Process 0 leads:
it alone takes the lock, tracks and writes; the others compute their shares.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from pipelines.errors import ConfigError
from pipelines.train.batches import Share
from pipelines.train.config import ComputeConfig
from pipelines.train.loop import Hooks
from pipelines.train.worker import Assignment, work


def this_share() -> Share:
    """The share of this process: that of its rank under torchrun, else all."""
    return Share(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


def run_local(assignment: Assignment, compute: ComputeConfig, hooks: Hooks) -> None:
    """Train to the last step; checkpoints, log and sample pictures go into the assignment's folder.

    Args:
        assignment: the run.
        compute: of the run.
        hooks: what else happens.

    Raises:
        ConfigError: a GPU is asked for and torch finds none for this process.
        Stopped: somebody asked to.
        TrainingError: the loss is not finite.
    """
    share, device = this_share(), _device(compute)
    with _group(share, device):
        work(assignment, share, device, hooks)


def _device(compute: ComputeConfig) -> torch.device:
    if not compute.use_gpu:
        return torch.device("cpu")
    own = int(os.environ.get("LOCAL_RANK", "0"))
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
