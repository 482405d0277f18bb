"""Joint denoising and deblurring: two sliders on a box.

The camera gives y = Bx + n. Each corner of the box has its own target: (0,0) the input Bx + n, (1,0)
denoised but still blurred Bx, (0,1) sharp but still noisy x + n, (1,1) the clean x; between corners the
target is their blend, so one distance to it is a live slider everywhere. After the joint task of
https://arxiv.org/abs/2304.00898.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from pipelines.core.random_streams import generator
from pipelines.tasks.degradations import (
    Range,
    add_noise,
    check_range,
    draw_strengths,
    gaussian_blur,
    mean_strength,
)
from pipelines.tasks.distances import Distance
from pipelines.tasks.registry import TaskOptions
from pipelines.tasks.task import BlendedTask, Example, Key
from tunable_models import Control, ControlSpace

SPACE = ControlSpace.box(
    Control(
        name="denoise",
        description="How much of the noise is taken away.",
        metric="PSNR to the picture without noise",
    ),
    Control(
        name="deblur",
        description="How much of the blur is undone.",
        metric="PSNR to the picture without blur",
    ),
)


class DenoiseDeblurConfig(TaskOptions):
    """What the network is trained to undo."""

    name: Literal["denoise-deblur"] = "denoise-deblur"
    noise_sigma: Range = (25.0, 25.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own."""
    blur_sigma: Range = (1.5, 1.5)
    """Range of the Gaussian blur, sigma in pixels."""
    distance: Distance = "rmse"
    """Distance to the blended target. L1 and Charbonnier train to medians, whose PSNR can fall a little
    where a slider nears its end."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("noise_sigma", self.noise_sigma, 255.0)
        check_range("blur_sigma", self.blur_sigma, 8.0)
        return self


class DenoiseDeblur(BlendedTask):
    """The task; targets ``input``, ``denoised`` (Bx), ``deblurred`` (x + n) and ``clean``."""

    name: ClassVar[str] = "denoise-deblur"
    description: ClassVar[str] = "Joint denoising and deblurring of photographs with a slider for each."
    config_class = DenoiseDeblurConfig

    def __init__(self, config: DenoiseDeblurConfig) -> None:
        super().__init__(SPACE, ("input", "denoised", "deblurred", "clean"), config.distance)
        self.config = config

    @property
    def levels(self) -> Mapping[str, float]:
        """The middle of both ranges."""
        return {
            "noise_sigma": mean_strength(self.config.noise_sigma),
            "blur_sigma": mean_strength(self.config.blur_sigma),
        }

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Noise and blur of every sample from their ranges."""
        ranges = (self.config.noise_sigma, self.config.blur_sigma)
        strengths, noise = (t.to(clean.device) for t in draw_strengths(ranges, keys, clean.shape[1:]))
        return _make_example(clean, strengths[:, 0], strengths[:, 1], noise)

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """All samples at ``noise_sigma`` and ``blur_sigma``."""
        noise = torch.randn(clean.shape, generator=generator(*key)).to(clean.device)
        noise_sigma, blur_sigma = (
            torch.full((len(clean),), levels[name], device=clean.device)
            for name in ("noise_sigma", "blur_sigma")
        )
        return _make_example(clean, noise_sigma, blur_sigma, noise)


def _make_example(clean: Tensor, noise_sigma: Tensor, blur_sigma: Tensor, noise: Tensor) -> Example:
    blurred = gaussian_blur(clean, blur_sigma)
    inputs = add_noise(blurred, noise_sigma, noise)
    noisy = add_noise(clean, noise_sigma, noise)
    return Example(inputs, {"input": inputs, "denoised": blurred, "deblurred": noisy, "clean": clean})
