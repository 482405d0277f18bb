"""Denoising at a known noise level: one condition slider, sigma 0 to 50.

The slider tells the network how strong the noise is; in training the noise of every sample is what omega
says, and the target is always the clean picture. Turned beyond the truth it takes away more, below it
less: one network in place of one for each level, as FFDNet (https://arxiv.org/abs/1710.04026) and DRUNet
do with a map beside their input.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from pipelines.core.config import Section
from pipelines.tasks.decibels import removed
from pipelines.tasks.distances import DISTANCES, Distance
from pipelines.tasks.gaussian_noise import GaussianNoise
from pipelines.tasks.ranges import draw_strengths
from pipelines.tasks.task import Example, Key
from tunable_models import Control, ControlSpace


class NoiseLevelConfig(Section):
    """What the network is told, and trained to undo."""

    name: Literal["noise-level"] = "noise-level"
    max_sigma: float = Field(default=50.0, gt=0, le=255)
    """Noise at the slider's upper end, sigma in units of 1/255; the lower end is no noise."""
    distance: Distance = "l1"
    """Distance to the clean picture."""


class NoiseLevel(GaussianNoise):
    """The task; its only target is ``clean``."""

    name: ClassVar[str] = "noise-level"
    description: ClassVar[str] = "Denoising of photographs with a slider for the level of their noise."

    def __init__(self, config: NoiseLevelConfig) -> None:
        self.config = config
        self.noise_sigma = (0.0, config.max_sigma)
        self.space = ControlSpace.box(
            Control(
                name="noise",
                description="How strong the noise is taken to be; more takes away more.",
                high=config.max_sigma,
                default=config.max_sigma / 2,
                unit="sigma/255",
                kind="condition",
                metric="rms of what is taken away",
            )
        )
        self._distance = DISTANCES[config.distance]

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Noise as strong as omega says."""
        _, noise = draw_strengths((), keys, clean.shape[1:])
        sigma = omega[:, 0] * self.config.max_sigma
        return self._example(clean, sigma, noise)

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The distance to the clean picture, whatever omega."""
        return {type(self._distance).__name__: self._distance(output, example.targets["clean"])}

    def aim(self, example: Example, omega: Tensor) -> Tensor:
        """The clean picture."""
        return example.targets["clean"]

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """The rms taken away, (B,) in dB."""
        return removed(example.inputs, output)

    def matched(self, omega: Tensor) -> Mapping[str, float]:
        """The noise that omega (1,) names."""
        return {"noise_sigma": omega[0].item() * self.config.max_sigma}

    def _example(self, clean: Tensor, sigma: Tensor, noise: Tensor) -> Example:
        example = super()._example(clean, sigma, noise)
        return Example(example.inputs, {"clean": clean})
