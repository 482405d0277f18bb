"""Running a network at a setting, and what its outputs are worth there by the task's own measure.

Shapes: B photographs, P controls, K vertices; inputs (B, 3, H, W), outputs (B, 3, sH, sW), omega (P,).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.measure.photographs import Batch
from pipelines.measure.settings import Setting
from pipelines.tasks import Example, Task
from pipelines.tasks.distances import negative_db, psnr_clamped
from tunable_models import TunableNetwork

Run = Callable[[Tensor], Tensor]
"""From inputs to outputs."""


@contextmanager
def evaluation_mode(network: TunableNetwork) -> Iterator[None]:
    """The network without dropout and its like, for the length of the block."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def run_at(network: TunableNetwork, omega: Tensor) -> Run:
    """The network at one setting, wherever the inputs are: outputs are on their device."""
    view = network.at(omega.to(network.device))

    def run(inputs: Tensor) -> Tensor:
        output: Tensor = view(inputs.to(network.device))
        return output.to(inputs.device)

    return run


@dataclass(frozen=True)
class Reading:
    """The outputs at one setting, means over photographs.

    Attributes:
        loss: the task's own at the setting.
        psnr: to what the setting asks for, in dB; None where that is no picture.
    """

    loss: float
    psnr: float | None

    @property
    def decibels(self) -> float:
        """How good: the PSNR, or the loss as -10 log10."""
        return negative_db(torch.tensor(self.loss)).item() if self.psnr is None else self.psnr


def read_outputs(
    task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch], setting: Setting
) -> Reading:
    """Compare outputs, one a batch, with what their setting asks for."""
    omega = torch.tensor(setting)
    rows = [own_psnr(task, o, b.raw, omega) for o, b in zip(outputs, batches, strict=True)]
    psnr = [row for row in rows if row is not None]
    return Reading(mean_loss(task, outputs, batches, setting), _mean(psnr) if psnr else None)


def vertex_losses(task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch]) -> list[float]:
    """The K losses of the same outputs, as if each vertex had been asked for in turn."""
    return [mean_loss(task, outputs, batches, vertex) for vertex in task.space.vertices]


def mean_loss(task: Task, outputs: Sequence[Tensor], batches: Sequence[Batch], setting: Setting) -> float:
    """The task's loss at a setting, mean over photographs."""
    omega = torch.tensor(setting)
    return _mean([own_loss(task, o, b.raw, omega) for o, b in zip(outputs, batches, strict=True)])


def own_loss(task: Task, output: Tensor, example: Example, omega: Tensor) -> Tensor:
    """The task's loss of each output at its setting, (B,)."""
    return task.loss(output, example, _expand_omega(omega, output))


def own_psnr(task: Task, output: Tensor, example: Example, omega: Tensor) -> Tensor | None:
    """PSNR in dB to what the setting asks for, (B,); None where that is no picture."""
    target = own_target(task, example, omega)
    return None if target is None else psnr_clamped(output, target)


def own_target(task: Task, example: Example, omega: Tensor) -> Tensor | None:
    """The picture that a setting asks for; None if it is not one."""
    return task.target(example, _expand_omega(omega, example.inputs))


def own_metric(task: Task, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
    """The metric that the control raises, (B,) in dB, of pictures as they are displayed.

    ``example`` is clamped already, see :attr:`pipelines.measure.photographs.Batch.shown`.
    """
    return task.progress(output.clamp(0, 1), example, _expand_omega(omega, output), control)


def _expand_omega(omega: Tensor, like: Tensor) -> Tensor:
    return omega.to(like.device).expand(len(like), -1)


def _mean(rows: Sequence[Tensor]) -> float:
    return torch.cat(list(rows)).double().mean().item()
