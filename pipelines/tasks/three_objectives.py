"""Denoising between three objectives: fidelity, grain and smoothness share a sum of 1.

What a good restoration is depends on who looks. Fidelity keeps every pixel near the truth; grain keeps
what the camera gave, noise included, which many prefer to a clean picture without life; smoothness trades
texture for flat, quiet areas (Rudin, Osher, Fatemi, Physica D 1992,
https://doi.org/10.1016/0167-2789(92)90242-F). Distances are squared errors, whose weighted sum has its
best picture between the truth and the input.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from pipelines.core.config import Section
from pipelines.tasks.decibels import nearness, smallness
from pipelines.tasks.gaussian_noise import GaussianNoise, NoiseSigma
from pipelines.tasks.task import Example
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
    noise_sigma: NoiseSigma = (25.0, 25.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own."""
    smoothness_scale: float = Field(default=0.02, gt=0)
    """How much total variation counts beside the squared error to the clean picture."""


class ThreeObjectives(GaussianNoise):
    """The task; its targets are ``clean`` and ``input``."""

    name: ClassVar[str] = "three-objectives"
    description: ClassVar[str] = "Denoising of photographs between fidelity, grain and smoothness."
    space = SPACE

    def __init__(self, config: ThreeObjectivesConfig) -> None:
        self.config = config
        self.noise_sigma = config.noise_sigma
        fidelity, grain = Term(objective=MSE()), Term(objective=MSE(), target="input")
        quiet = Term(objective=TotalVariation(), scale=config.smoothness_scale)
        self._loss = MultiLoss(SPACE, [fidelity, grain, [fidelity, quiet]])

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The three objectives."""
        return self._loss.shares(output, example.targets, omega)

    def aim(self, example: Example, omega: Tensor) -> None:
        """None: the objectives do not agree on one picture."""

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """PSNR to the clean picture, PSNR to the input, or total variation in dB."""
        shown = output.clamp(0, 1)
        if control == SMOOTHNESS:
            return smallness(TotalVariation()(shown))
        return nearness(shown, example.targets["input" if control == GRAIN else "clean"])
