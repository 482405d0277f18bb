"""One point of a run's log, and the meter that makes it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor

from pipelines.core.errors import DivergedError
from pipelines.training.learner import Step
from pipelines.training.reduction import total


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One point of the run's log.

    Attributes:
        step: optimizer steps done.
        epoch: as many draws as there are photographs are one.
        loss: mean over the steps since the last point, over all workers.
        shares: what each objective added to it, by name.
        lr: learning rate of the next step.
        grad_norm: of the last step, before clipping.
        images_per_s: patches through all workers, over the steps since the last point.
        workers: how many there are.
        memory_gb: largest use of GPU memory so far, on a CPU resident memory now; of worker 0, in 10^9 bytes.
        time_s: when, in seconds since 1970.
        validation: numbers on held-out photographs, see :mod:`pipelines.training.validation`; empty when they
            were not looked at.
    """

    step: int
    epoch: float
    loss: float
    shares: Mapping[str, float]
    lr: float
    grad_norm: float
    images_per_s: float
    workers: int
    memory_gb: float
    time_s: float
    validation: Mapping[str, Any]


class Meter:
    """Loss and speed since the last point.

    Args:
        batch_size: of all workers.
        photos: how many there are, draws in an epoch.
        workers: how many there are.
        device: of the network.
    """

    def __init__(self, batch_size: int, photos: int, workers: int, device: torch.device) -> None:
        self._batch_size, self._photos = batch_size, photos
        self._workers, self._device = workers, device
        self._clear()

    def _clear(self) -> None:
        self._names: list[str] = []
        self._rows: list[Tensor] = []
        self._norm = torch.zeros(())
        self._counted = 0
        self.start()

    def start(self) -> None:
        """Start the clock: what took time until now was no training."""
        self._since = time.perf_counter()

    def add(self, step: Step) -> None:
        """Count a step; nothing waits for a GPU."""
        self._names, self._norm = list(step.shares), step.norm
        self._rows.append(torch.stack(list(step.shares.values())))
        self._counted += 1

    def unlogged(self, done: int) -> dict[str, Any]:
        """The steps since the last point, for a checkpoint between points; called on every worker.

        Raises:
            DivergedError: a loss or the gradient's norm is not finite; on every worker.
        """
        rows = self._over_all_workers()
        self._check(float(rows.sum()), done)
        return {"names": self._names, "rows": rows.cpu()}

    def resume(self, unlogged: Mapping[str, Any], *, leads: bool) -> None:
        """Go on from :meth:`unlogged`: the next point counts these steps too."""
        rows: Tensor = unlogged["rows"].to(self._device)
        # They are sums over all workers, and will be added up over all workers again.
        self._names = unlogged["names"]
        self._rows = list((rows if leads else torch.zeros_like(rows)).unbind())

    def _over_all_workers(self) -> Tensor:
        """What each objective added at each step, (steps, objectives)."""
        rows = torch.stack(self._rows)
        return total(rows) if self._workers > 1 else rows

    def _check(self, loss: float, done: int) -> None:
        # All workers see the same numbers, so none is left waiting for another.
        if not (math.isfinite(loss) and math.isfinite(float(self._norm))):
            raise DivergedError(
                f"the loss is {loss} and the gradient's norm {float(self._norm)} at step {done}; lower "
                "train.optimizer.lr or train.optimizer.clip_norm and run again"
            )

    def progress(self, done: int, lr: float) -> Progress:
        """The point of this step, without validation; starts anew.

        Raises:
            DivergedError: the loss or the gradient's norm is not finite.
        """
        means = self._over_all_workers().mean(0).tolist()
        shares = dict(zip(self._names, means, strict=True))
        loss, norm = sum(means), float(self._norm)
        self._check(loss, done)
        # After the losses, which wait for the GPU.
        speed = self._counted * self._batch_size / (time.perf_counter() - self._since)
        self._clear()
        return Progress(
            step=done,
            epoch=round(done * self._batch_size / self._photos, 4),
            loss=loss,
            shares=shares,
            lr=lr,
            grad_norm=norm,
            images_per_s=speed,
            workers=self._workers,
            memory_gb=_memory(self._device) / 1e9,
            time_s=time.time(),
            validation={},
        )


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)
