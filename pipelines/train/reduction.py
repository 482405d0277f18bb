"""Sums over workers that do not depend on where in a buffer a number stands.

A ring adds up the workers' numbers in another order in each part of the buffer, and DistributedDataParallel
lays its buffers out anew after the first step of a process: from three workers on, a run that went on from a
checkpoint would differ in the last bits from one that nobody disturbed. Here every number is added up from
worker 0 to the last. On GPUs NCCL has its own way, and kernels have no fixed order either.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import GradBucket  # type: ignore[attr-defined]
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel


def together(module: nn.Module, device: torch.device, workers: int) -> nn.Module:
    """The module whose gradients are averaged over the workers."""
    if workers == 1:
        return module
    if device.type == "cuda":
        return DistributedDataParallel(module, device_ids=[device])
    model = DistributedDataParallel(module)
    model.register_comm_hook(None, _mean_in_order)
    return model


def total(tensor: Tensor) -> Tensor:
    """The sum of all workers' tensors; called on every worker."""
    parts = _room(tensor)
    dist.all_gather(parts, tensor)
    return _sum(parts)


def _mean_in_order(_: None, bucket: GradBucket) -> Future[Tensor]:
    gradients = bucket.buffer()
    parts = _room(gradients)
    work = dist.all_gather(parts, gradients, async_op=True)
    assert work is not None  # it is where a worker is one of the group, as all are
    return work.get_future().then(lambda _: gradients.copy_(_sum(parts)).div_(len(parts)))


def _room(tensor: Tensor) -> list[Tensor]:
    return [torch.empty_like(tensor) for _ in range(dist.get_world_size())]


def _sum(parts: list[Tensor]) -> Tensor:
    first, *rest = parts
    for part in rest:
        first += part
    return first
