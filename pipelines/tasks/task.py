"""What every task offers: examples, a loss that omega weighs, and numbers that say if its sliders live.

Shapes: B samples, P controls, s the task's scale. Clean photographs (B, 3, sH, sW) are RGB in [0, 1];
inputs are (B, 3, H, W).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from tunable_models import ControlSpace

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
    """A degradation, its targets, its controls and its loss."""

    name: ClassVar[str]
    description: ClassVar[str]
    space: ControlSpace
    scale: int = 1

    @property
    @abstractmethod
    def levels(self) -> Mapping[str, float]:
        """Strengths of the degradation at which the task is evaluated unless told otherwise."""

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
        """What each objective adds to the loss of every sample, (B,) by name, weighed by omega (B, P).

        output is (B, 3, sH, sW); the names are the same for every output.
        """

    def loss(self, output: Tensor, example: Example, omega: Tensor) -> Tensor:
        """The loss of every sample, (B,)."""
        return torch.stack(list(self.shares(output, example, omega).values())).sum(0)

    @abstractmethod
    def aim(self, example: Example, omega: Tensor) -> Tensor | None:
        """The picture (B, 3, sH, sW) that the setting omega (B, P) asks for; None if it is not one."""

    @abstractmethod
    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """The control's own metric, (B,) in dB: what turning it up, the others held as in omega, raises."""

    @property
    def critic(self) -> nn.Module | None:
        """A network that the loss plays against, trained beside: it scores ``clean`` 1 and outputs 0."""
        return None

    @property
    def min_patch_px(self) -> int:
        """Side of the smallest training patch that the loss can judge."""
        return 1

    @property
    def materials(self) -> Mapping[str, str]:
        """What the task takes from outside its options, such as a trunk's weights, and which it is."""
        return {}

    def to(self, device: torch.device) -> Self:
        """Move what the loss needs, such as a trunk; examples are made wherever their photographs are."""
        return self

    def measures(self, output: Tensor, example: Example) -> Mapping[str, Tensor]:
        """Numbers of the task's own, (B,) by name, beside the usual ones."""
        return {}

    def matched(self, omega: Tensor) -> Mapping[str, float] | None:
        """The strengths that condition controls at omega (P,) stand for; None without such controls."""
        return None
