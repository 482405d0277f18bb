"""Tasks that are small and whose every number can be worked out: for code that takes any task."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from pipelines.core.random_streams import generator
from pipelines.tasks import Example, Key, Task
from tunable_models import Control, ControlSpace, blend, psnr


class SmallTask(Task):
    """Trains on what it is evaluated on."""

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        return self.degrade(clean, self.levels, keys[0])


class Fading(SmallTask):
    """Pictures that are too dark: ``dim`` times the clean one; the control is told by how much."""

    name: ClassVar[str] = "fading"
    description: ClassVar[str] = "Too dark."
    space = ControlSpace.box(
        Control(name="light", low=0.0, high=50.0, default=25.0, unit="%", kind="condition")
    )

    @property
    def levels(self) -> Mapping[str, float]:
        return {"dim": 0.5, "grain": 0.0}

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        return Example((1 - omega[:, :1, None, None] / 2) * clean, {"clean": clean})

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        grain = levels["grain"] / 255 * torch.randn(clean.shape, generator=generator(*key))
        return Example(levels["dim"] * clean + grain, {"clean": clean})

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        return {"MSE": (output - example.targets["clean"]).square().flatten(1).mean(1)}

    def target(self, example: Example, omega: Tensor) -> Tensor | None:
        return example.targets["clean"]

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """Brightness in dB."""
        return 10 * torch.log10(output.flatten(1).mean(1) / example.inputs.flatten(1).mean(1))

    def matched(self, omega: Tensor) -> Mapping[str, float] | None:
        return {"dim": 1 - omega[0].item() / 2}


class Enlarging(SmallTask):
    """Pictures a fourth of the size; the sliders choose between two targets that share a sum."""

    name: ClassVar[str] = "enlarging"
    description: ClassVar[str] = "Too small."
    space = ControlSpace.simplex(Control(name="plain", default=0.75), Control(name="dark", default=0.25))
    scale = 4

    @property
    def levels(self) -> Mapping[str, float]:
        return {}

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        small = functional.avg_pool2d(clean, self.scale)
        return Example(small, {"clean": clean, "dark": 0.5 * clean})

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        return {"MSE": (output - self.target(example, omega)).square().flatten(1).mean(1)}

    def target(self, example: Example, omega: Tensor) -> Tensor:
        return blend(self.space, [example.targets["clean"], example.targets["dark"]], omega)

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        upper = functional.one_hot(torch.tensor([control]), len(self.space)).float()
        return psnr(output, self.target(example, upper)).clamp(max=100)

    def measures(self, output: Tensor, example: Example) -> Mapping[str, Tensor]:
        shrunk = functional.avg_pool2d(output, self.scale)
        return {"psnr_input_again": psnr(shrunk, example.inputs).clamp(max=100)}


class Tinting(SmallTask):
    """Three colours that share a sum; no setting asks for one picture."""

    name: ClassVar[str] = "tinting"
    description: ClassVar[str] = "Without colour."
    space = ControlSpace.simplex("red", "green", "blue")

    @property
    def levels(self) -> Mapping[str, float]:
        return {}

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        return Example(clean, {"clean": clean})

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        return {"brightness": output.flatten(1).mean(1)}

    def target(self, example: Example, omega: Tensor) -> Tensor | None:
        return None

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """The channel in dB."""
        return 10 * torch.log10(output[:, control].flatten(1).mean(1) + 0.01)
