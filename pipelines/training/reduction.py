"""How workers that each saw a part of a batch come to the gradient of the whole.

On CPUs every number is added up from worker 0 to the last, wherever in a buffer it stands. A ring adds up in
another order in each part of the buffer, and DistributedDataParallel lays its buffers out anew after a
process's first step: from three workers on, a run that went on from a checkpoint would differ in the last
bits from one that nobody disturbed. And workers meet once a step, behind the backward pass: a meeting during
it takes time from the cores that compute. On GPUs it takes none, NCCL has its own order, and kernels have no
fixed one either.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def overlapped(module: nn.Module, device: torch.device, workers: int) -> nn.Module:
    """On GPUs the module whose backward pass averages the gradients over the workers; elsewhere as it is."""
    if workers == 1 or device.type != "cuda":
        return module
    return DistributedDataParallel(module, device_ids=[device])


def share_weights(module: nn.Module) -> None:
    """Set parameters and buffers to those of worker 0; called on every worker, where nothing overlaps.

    Each worker has made or read the same ones, but another processor may round first weights differently.
    """
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor, src=0)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Set gradients to their means over the workers; called on every worker, where nothing overlaps.

    Args:
        parameters: in the same order on every worker; one without a gradient counts as zero.
    """
    gradients = [_gradient(parameter) for parameter in parameters]
    means = total(torch.cat([own.flatten() for own in gradients])).div_(dist.get_world_size())
    for own, mean in zip(gradients, torch.split(means, [own.numel() for own in gradients]), strict=True):
        own.copy_(mean.view_as(own))


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def total(tensor: Tensor) -> Tensor:
    """The sum of all workers' tensors; called on every worker."""
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    first, *rest = parts
    for part in rest:
        first += part
    return first
