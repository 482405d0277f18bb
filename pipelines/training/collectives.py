"""Deterministic collectives between the workers of a run: gradient averages, sums, and stop requests.

On CPUs every number is summed from worker 0 to the last, wherever it is in a buffer. A ring all-reduce sums
each part of the buffer in another order, and DistributedDataParallel lays its buffers out anew after a
process's first step: from three workers on, a resumed run would differ in the last bits from an undisturbed
one. Workers also synchronize once a step, after the backward pass, since communication during it takes time
from the cores that compute. On GPUs it takes none, and neither NCCL nor kernels have a fixed order.
"""

from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def wrap_ddp(module: nn.Module, device: torch.device, workers: int) -> nn.Module:
    """On GPUs the module in DistributedDataParallel, which averages gradients; elsewhere itself."""
    if workers == 1 or device.type != "cuda":
        return module
    return DistributedDataParallel(module, device_ids=[device])


def broadcast_weights(module: nn.Module) -> None:
    """Set parameters and buffers to those of worker 0; collective.

    All workers initialized or loaded the same weights, but another processor may round them differently.
    """
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor, src=0)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Set gradients to their means over the workers; collective.

    Args:
        parameters: in the same order on every worker; one without a gradient counts as zero.
    """
    gradients = [_ensure_gradient(parameter) for parameter in parameters]
    means = sum_over_workers(torch.cat([own.flatten() for own in gradients])).div_(dist.get_world_size())
    for own, mean in zip(gradients, torch.split(means, [own.numel() for own in gradients]), strict=True):
        own.copy_(mean.view_as(own))


def _ensure_gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def sum_over_workers(tensor: Tensor) -> Tensor:
    """Deterministic all-reduce, independent of buffer layout; collective."""
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    first, *rest = parts
    for part in rest:
        first += part
    return first


class StopConsensus:
    """Synchronize a stop request so that all workers stop at the same step.

    Called once a step on every worker, it returns the same answer on all of them. With several workers that
    is the answer of the step before: the request travels while the next step is computed, so that no worker
    waits for it. It travels between CPUs, because a GPU would have to finish its work to answer.

    Args:
        requested: whether this worker was asked to stop.
        workers: how many there are.
        device: of the network.
    """

    def __init__(self, requested: Callable[[], bool], workers: int, device: torch.device) -> None:
        self._requested, self._workers = requested, workers
        own_group = workers > 1 and device.type != "cpu"
        self._group: dist.ProcessGroup | None = dist.new_group(backend="gloo") if own_group else None  # type: ignore[assignment]
        self._pending: tuple[dist.Work, Tensor] | None = None

    def __call__(self) -> bool:
        """Whether any worker was asked to stop."""
        if self._workers == 1:
            return self._requested()
        answer = self._receive()
        request = torch.tensor(int(self._requested()))
        work = dist.all_reduce(request, dist.ReduceOp.MAX, group=self._group, async_op=True)
        self._pending = None if work is None else (work, request)
        return answer

    def _receive(self) -> bool:
        if self._pending is None:
            return False
        work, request = self._pending
        work.wait()
        return bool(request)

    def close(self) -> None:
        """Wait for the last exchange, whose answer is not needed any more."""
        self._receive()
        self._pending = None
