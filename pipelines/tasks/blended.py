"""Tasks whose controls move between targets: one distance to the target that omega blends.

Turning a control up moves the output towards the target of the setting with that control at its end,
which is also how each control is measured. After https://arxiv.org/abs/2304.00898.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from pipelines.tasks.decibels import nearness
from pipelines.tasks.distances import DISTANCES, Distance
from pipelines.tasks.task import Example, Task
from tunable_models import BlendedLoss, ControlSpace, blend


class BlendedTask(Task):
    """A box whose corners each have a target of their own.

    Args:
        space: a box.
        targets: names of the corners' targets, in the order of ``space.vertices``.
        distance: to the blended target.
    """

    def __init__(self, space: ControlSpace, targets: Sequence[str], distance: Distance) -> None:
        self.space = space
        self.targets = tuple(targets)
        self._loss = BlendedLoss(space, DISTANCES[distance], self.targets)

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The distance of every sample to its blended target."""
        return self._loss.shares(output, example.targets, omega)

    def aim(self, example: Example, omega: Tensor) -> Tensor:
        """The blended target (B, 3, H, W)."""
        return blend(self.space, [example.targets[name] for name in self.targets], omega)

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """PSNR, (B,), to the target of the same setting with the control at its upper end."""
        upper = omega.clone()
        upper[:, control] = 1
        return nearness(output, self.aim(example, upper))
