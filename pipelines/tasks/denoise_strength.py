"""Denoising strength: one objective slider from the picture as it is to the clean one.

The ends of the slider are "keep the input" and "take all noise away"; between them the target is their
blend, so that half of the slider leaves half of the noise. This is the slider that users of restoration
tools ask for where a model removes too much.
"""

from typing import ClassVar, Literal

from pipelines.core.config import Section
from pipelines.tasks.blended import BlendedTask
from pipelines.tasks.distances import Distance
from pipelines.tasks.gaussian_noise import GaussianNoise, NoiseSigma
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
    noise_sigma: NoiseSigma = (5.0, 50.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own, and the network is
    not told."""
    distance: Distance = "rmse"
    """Distance to the blended target."""


class DenoiseStrength(GaussianNoise, BlendedTask):
    """The task; targets ``input`` and ``clean``."""

    name: ClassVar[str] = "denoise-strength"
    description: ClassVar[str] = "Blind denoising of photographs with a slider for its strength."

    def __init__(self, config: DenoiseStrengthConfig) -> None:
        super().__init__(SPACE, ("input", "clean"), config.distance)
        self.config = config
        self.noise_sigma = config.noise_sigma
