"""Denoising strength: one objective slider from the picture as it is to the clean one.

The ends of the slider are "keep the input" and "take all noise away"; between them the target is their
blend, so that half of the slider leaves half of the noise. This is the slider that users of restoration
tools ask for where a model removes too much.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from pipelines.config import Section
from pipelines.streams import generator
from pipelines.tasks.blended import BlendedTask
from pipelines.tasks.degradations import add_noise
from pipelines.tasks.distances import Distance
from pipelines.tasks.ranges import check_range, draw_strengths, middle
from pipelines.tasks.task import Example, Key
from tunable_models import Control, ControlSpace

SPACE = ControlSpace.box(
    Control(
        name="strength",
        description="How much of the noise is taken away.",
        metric="PSNR to the clean picture",
    )
)


class DenoiseStrengthConfig(Section):
    """What the network is trained to undo."""

    name: Literal["denoise-strength"] = "denoise-strength"
    noise_sigma: tuple[float, float] = (5.0, 50.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own, and the network is
    not told."""
    distance: Distance = "rmse"
    """Distance to the blended target."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("noise_sigma", self.noise_sigma, 255.0)
        return self


class DenoiseStrength(BlendedTask):
    """The task; targets ``input`` and ``clean``."""

    name: ClassVar[str] = "denoise-strength"
    description: ClassVar[str] = "Blind denoising of photographs with a slider for its strength."

    def __init__(self, config: DenoiseStrengthConfig) -> None:
        super().__init__(SPACE, ("input", "clean"), config.distance)
        self.config = config

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


def _example(clean: Tensor, sigma: Tensor, noise: Tensor) -> Example:
    inputs = add_noise(clean, sigma.to(clean.device), noise.to(clean.device))
    return Example(inputs, {"input": inputs, "clean": clean})
