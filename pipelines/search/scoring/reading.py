"""Looking at outputs for one setting: losses and nearness, means over the photographs.

Shapes: B photographs, P controls, K vertices; outputs are (B, 3, sH, sW).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.measure.settings import Setting
from pipelines.search.scoring.crops import Batch
from pipelines.tasks import Task
from pipelines.tasks.decibels import nearness, smallness

Loss = Callable[[Tensor, Batch], Tensor]


@dataclass(frozen=True)
class Reading:
    """What was read from the outputs at one setting.

    Attributes:
        loss: the task's own at the setting.
        psnr: to what the setting asks for, in dB; None where that is no picture.
    """

    loss: float
    psnr: float | None

    @property
    def decibels(self) -> float:
        """How good: the PSNR, or the loss as -10 log10."""
        return smallness(torch.tensor(self.loss)).item() if self.psnr is None else self.psnr


def read(task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch], setting: Setting) -> Reading:
    """Outputs, one a batch, judged by what their setting asks for."""

    def aimed(output: Tensor, batch: Batch) -> Tensor | None:
        aim = task.aim(batch.raw, _omega(setting, output))
        return None if aim is None else nearness(output, aim)

    near = [aimed(output, batch) for output, batch in zip(outputs, batches, strict=True)]
    psnr = [value for value in near if value is not None]
    return Reading(mean_loss(task, outputs, batches, setting), _mean(psnr) if psnr else None)


def vertex_losses(task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch]) -> list[float]:
    """The K losses of outputs, L_k: as if each vertex were asked for in turn."""
    return [mean_loss(task, outputs, batches, vertex) for vertex in task.space.vertices]


def mean_loss(task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch], setting: Setting) -> float:
    """The task's loss at a setting, mean over photographs."""
    pairs = zip(outputs, batches, strict=True)
    return _mean([task.loss(output, batch.raw, _omega(setting, output)) for output, batch in pairs])


def progress(
    task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch], setting: Setting, control: int
) -> list[float]:
    """The control's own metric of every photograph in dB, of pictures as a person sees them."""
    rows = [
        task.progress(output.clamp(0, 1), batch.shown, _omega(setting, output), control)
        for output, batch in zip(outputs, batches, strict=True)
    ]
    return torch.cat(rows).tolist()


def _omega(setting: Setting, output: Tensor) -> Tensor:
    return torch.tensor(setting, device=output.device).expand(len(output), -1)


def _mean(rows: Sequence[Tensor]) -> float:
    return torch.cat(list(rows)).double().mean().item()
