"""Accumulate loss and speed over steps into the points of the run log."""

import math
import time
from collections.abc import Mapping
from typing import Any

import psutil
import torch
from torch import Tensor

from pipelines.core.errors import DivergedError
from pipelines.training.collectives import sum_over_workers
from pipelines.training.learner import Step
from pipelines.training.log import Progress


class MetricsAccumulator:
    """Loss and speed since the last point of the log.

    Args:
        batch_size: over all workers.
        photos: how many there are, draws in an epoch.
        workers: how many there are.
        device: of the network.
    """

    def __init__(self, batch_size: int, photos: int, workers: int, device: torch.device) -> None:
        self._batch_size, self._photos = batch_size, photos
        self._workers, self._device = workers, device
        self._reset()

    def _reset(self) -> None:
        self._names: list[str] = []
        self._rows: list[Tensor] = []
        self._norm = torch.zeros(())
        self._counted = 0
        self.start_clock()

    def start_clock(self) -> None:
        """Measure speed from now: the time before was not spent on training."""
        self._since = time.perf_counter()

    def add(self, step: Step) -> None:
        """Count a step, without waiting for the GPU."""
        self._names, self._norm = list(step.shares), step.norm
        self._rows.append(torch.stack(list(step.shares.values())))
        self._counted += 1

    def state(self, done: int) -> dict[str, Any]:
        """The steps since the last point, for a checkpoint between points; collective.

        Raises:
            DivergedError: a loss or the gradient norm is not finite; on every worker.
        """
        rows = self._sum_rows()
        self._check_finite(float(rows.sum()), done)
        return {"names": self._names, "rows": rows.cpu()}

    def load(self, state: Mapping[str, Any], *, is_main: bool) -> None:
        """Resume from :meth:`state`: the next point counts these steps too."""
        rows: Tensor = state["rows"].to(self._device)
        # They are sums over all workers, and will be summed over all workers again.
        self._names = state["names"]
        self._rows = list((rows if is_main else torch.zeros_like(rows)).unbind())

    def _sum_rows(self) -> Tensor:
        """What each objective added at each step, (steps, objectives)."""
        rows = torch.stack(self._rows)
        return sum_over_workers(rows) if self._workers > 1 else rows

    def _check_finite(self, loss: float, done: int) -> None:
        # All workers see the same numbers, so all of them raise and none is left waiting.
        if not (math.isfinite(loss) and math.isfinite(float(self._norm))):
            raise DivergedError(
                f"non-finite loss {loss} or gradient norm {float(self._norm)} at step {done}; lower "
                "train.optimizer.lr or train.optimizer.clip_norm and run again"
            )

    def make_point(self, done: int, lr: float) -> Progress:
        """The point of this step, without validation; then start anew.

        Raises:
            DivergedError: the loss or the gradient norm is not finite.
        """
        means = self._sum_rows().mean(0).tolist()
        shares = dict(zip(self._names, means, strict=True))
        loss, norm = sum(means), float(self._norm)
        self._check_finite(loss, done)
        # After the losses, which wait for the GPU.
        speed = self._counted * self._batch_size / (time.perf_counter() - self._since)
        self._reset()
        return Progress(
            step=done,
            epoch=round(done * self._batch_size / self._photos, 4),
            loss=loss,
            shares=shares,
            lr=lr,
            grad_norm=norm,
            images_per_s=speed,
            workers=self._workers,
            memory_gb=_measure_memory(self._device) / 1e9,
            time_s=time.time(),
            validation={},
        )


def _measure_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)
