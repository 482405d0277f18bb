"""The interface of a task: examples, a loss weighted by omega, and the metric that each slider raises.

Shapes: B samples, P controls, s the task's scale. Clean photographs (B, 3, sH, sW) are RGB in [0, 1];
inputs are (B, 3, H, W).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from pipelines.tasks.distances import psnr_clamped
from pipelines.tasks.registry import TaskOptions
from tunable_models import BlendedLoss, ControlSpace, blend, get_objective

Key = tuple[int | str, ...]
"""Names a random stream, see :mod:`pipelines.core.random_streams`."""


@dataclass(frozen=True)
class Example:
    """What a network gets, and what it is compared with.

    Attributes:
        inputs: (B, 3, H, W).
        targets: (B, 3, sH, sW) by name; ``clean`` is always there.
    """

    inputs: Tensor
    targets: Mapping[str, Tensor]


class Task(ABC):
    """A degradation, its targets, its controls and its loss.

    Attributes:
        name: in options, records and entries.
        description: one sentence for people.
        config_class: the options that a registered task is made from.
        space: of the controls.
        scale: side of the output over side of the input.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    config_class: ClassVar[type[TaskOptions]]
    space: ControlSpace
    scale: int = 1

    @classmethod
    def from_config(cls, config: Any, root: Path) -> Self:
        """The task of these options, of ``config_class``; relative paths in them start at ``root``."""
        del root
        return cls(config)  # type: ignore[call-arg]  # what a task of these options takes

    @property
    @abstractmethod
    def levels(self) -> Mapping[str, float]:
        """Usual strengths of the degradation, at which the task is evaluated."""

    @abstractmethod
    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Training examples: strengths and noise of sample b are drawn from the streams of keys[b].

        Condition controls take their strengths from omega (B, P).
        """

    @abstractmethod
    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """Examples at the given strengths, noise from the streams of ``key``."""

    @abstractmethod
    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """What each objective adds to the loss of every sample, (B,) by name, weighted by omega (B, P).

        output is (B, 3, sH, sW); the names are the same for every output.
        """

    def loss(self, output: Tensor, example: Example, omega: Tensor) -> Tensor:
        """The loss of every sample, (B,)."""
        return torch.stack(list(self.shares(output, example, omega).values())).sum(0)

    @abstractmethod
    def target(self, example: Example, omega: Tensor) -> Tensor | None:
        """The picture (B, 3, sH, sW) that the setting omega (B, P) asks for; None if it is not one."""

    @abstractmethod
    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """The control's own metric, (B,) in dB: what turning it up, the others held as in omega, raises."""

    @property
    def critic(self) -> nn.Module | None:
        """The adversarial network, trained alongside: it scores ``clean`` 1 and outputs 0."""
        return None

    @property
    def min_patch_px(self) -> int:
        """Side of the smallest training patch that the loss accepts."""
        return 1

    @property
    def materials(self) -> Mapping[str, str]:
        """What the task takes from outside its options, such as a trunk's weights, by its label or digest."""
        return {}

    def to(self, device: torch.device) -> Self:
        """Move what the loss needs, such as a trunk; examples are made on the device of their photographs."""
        return self

    def measures(self, output: Tensor, example: Example) -> Mapping[str, Tensor]:
        """Additional metrics of the task, (B,) by name."""
        return {}

    def matched(self, omega: Tensor) -> Mapping[str, float] | None:
        """The strengths that condition controls at omega (P,) stand for; None without such controls."""
        return None


class BlendedTask(Task):
    """A task whose controls move between targets: a box, each corner of which has a target of its own.

    The loss is one distance to the target that omega blends. Turning a control up moves the output towards
    the target of the setting with that control at its end, which is also how each control is measured.
    After https://arxiv.org/abs/2304.00898.

    Args:
        space: a box.
        targets: names of the corners' targets, in the order of ``space.vertices``.
        distance: to the blended target, a registered objective.
    """

    def __init__(self, space: ControlSpace, targets: Sequence[str], distance: str) -> None:
        self.space = space
        self.targets = tuple(targets)
        self._loss = BlendedLoss(space, get_objective(distance), self.targets)

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The distance of every sample to its blended target."""
        return self._loss.shares(output, example.targets, omega)

    def target(self, example: Example, omega: Tensor) -> Tensor:
        """The blended target (B, 3, H, W)."""
        return blend(self.space, [example.targets[name] for name in self.targets], omega)

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """PSNR, (B,), to the target of the same setting with the control at its upper end."""
        upper = omega.clone()
        upper[:, control] = 1
        return psnr_clamped(output, self.target(example, upper))
