"""Denoising between three objectives: fidelity, grain and smoothness share a sum of 1.

What a good restoration is depends on who looks. Fidelity keeps every pixel near the truth; grain keeps
what the camera gave, noise included, which many prefer to a clean picture without life; smoothness trades
texture for flat, quiet areas (Rudin, Osher, Fatemi, Physica D 1992,
https://doi.org/10.1016/0167-2789(92)90242-F). Distances are squared errors, whose weighted sum has its
best picture between the truth and the input.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from pipelines.config import Section
from pipelines.streams import generator
from pipelines.tasks.decibels import nearness, smallness
from pipelines.tasks.degradations import add_noise
from pipelines.tasks.ranges import check_range, draw_strengths, middle
from pipelines.tasks.task import Example, Key, Task
from tunable_models import MSE, Control, ControlSpace, MultiLoss, Term, TotalVariation

SPACE = ControlSpace.simplex(
    Control(
        name="fidelity",
        description="Keep every pixel near the truth.",
        default=1 / 3,
        metric="PSNR to the clean picture",
    ),
    Control(
        name="grain",
        description="Keep the grain of the input.",
        default=1 / 3,
        metric="PSNR to the input",
    ),
    Control(
        name="smoothness",
        description="Make areas flat and quiet.",
        default=1 / 3,
        metric="total variation, as -10 log10",
    ),
)
GRAIN, SMOOTHNESS = 1, 2


class ThreeObjectivesConfig(Section):
    """What the network is trained to undo, and how the objectives compare."""

    name: Literal["three-objectives"] = "three-objectives"
    noise_sigma: tuple[float, float] = (25.0, 25.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own."""
    smoothness_scale: float = Field(default=0.02, gt=0)
    """How much total variation counts beside the squared error to the clean picture."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("noise_sigma", self.noise_sigma, 255.0)
        return self


class ThreeObjectives(Task):
    """The task; its targets are ``clean`` and ``input``."""

    name: ClassVar[str] = "three-objectives"
    description: ClassVar[str] = "Denoising of photographs between fidelity, grain and smoothness."
    space = SPACE

    def __init__(self, config: ThreeObjectivesConfig) -> None:
        self.config = config
        fidelity, grain = Term(objective=MSE()), Term(objective=MSE(), target="input")
        quiet = Term(objective=TotalVariation(), scale=config.smoothness_scale)
        self._loss = MultiLoss(SPACE, [fidelity, grain, [fidelity, quiet]])

    @property
    def levels(self) -> Mapping[str, float]:
        """The middle of the range."""
        return {"noise_sigma": middle(self.config.noise_sigma)}

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Noise of every sample from the range."""
        strengths, noise = draw_strengths([self.config.noise_sigma], keys, clean.shape[1:])
        return _example(clean, strengths[:, 0], noise)

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """All samples at ``noise_sigma``."""
        noise = torch.randn(clean.shape, generator=generator(*key))
        return _example(clean, torch.full((len(clean),), levels["noise_sigma"]), noise)

    def loss(self, output: Tensor, example: Example, omega: Tensor) -> Tensor:
        """The three objectives, weighed by omega, (B,)."""
        return self._loss(output, example.targets, omega)

    def aim(self, example: Example, omega: Tensor) -> None:
        """None: the objectives do not agree on one picture."""

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """PSNR to the clean picture, PSNR to the input, or total variation in dB."""
        shown = output.clamp(0, 1)
        if control == SMOOTHNESS:
            return smallness(TotalVariation()(shown))
        return nearness(shown, example.targets["input" if control == GRAIN else "clean"])


def _example(clean: Tensor, sigma: Tensor, noise: Tensor) -> Example:
    noisy = add_noise(clean, sigma.to(clean.device), noise.to(clean.device))
    return Example(noisy, {"clean": clean, "input": noisy})
