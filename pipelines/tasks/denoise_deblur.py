"""Joint denoising and deblurring: two sliders on a box.

The camera gives y = Bx + n. Each corner of the box has its own target: (0,0) the input Bx + n, (1,0)
denoised but still blurred Bx, (0,1) sharp but still noisy x + n, (1,1) the clean x; between corners the
target is their blend, so one distance to it is a live slider everywhere. After the joint task of
https://arxiv.org/abs/2304.00898.
"""

from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from pipelines.config import Section
from pipelines.streams import generator
from pipelines.tasks.degradations import add_noise, gaussian_blur
from tunable_models import L1, MSE, RMSE, BlendedLoss, Charbonnier, Control, ControlSpace, Objective, blend

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
DISTANCES: dict[str, Objective] = {"l1": L1(), "charbonnier": Charbonnier(), "mse": MSE(), "rmse": RMSE()}


class DenoiseDeblurConfig(Section):
    """What the network is trained to undo."""

    name: Literal["denoise-deblur"] = "denoise-deblur"
    noise_sigma: tuple[float, float] = (25.0, 25.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own."""
    blur_sigma: tuple[float, float] = (1.5, 1.5)
    """Range of the Gaussian blur, sigma in pixels."""
    distance: Literal["l1", "charbonnier", "mse", "rmse"] = "rmse"
    """Distance to the blended target. L1 and Charbonnier train to medians, whose PSNR can fall a little
    where a slider nears its end."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, limit in (("noise_sigma", 255.0), ("blur_sigma", 8.0)):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= limit:
                raise ValueError(f"{name} must be [low, high] within 0..{limit:g}")
        return self


@dataclass(frozen=True)
class Degraded:
    """Inputs (B, 3, H, W) and the target of every corner (B, 4, 3, H, W), corners in the space's order."""

    inputs: Tensor
    targets: Tensor


class DenoiseDeblur:
    """The task: makes inputs and targets from clean images, and measures outputs."""

    name = "denoise-deblur"
    description = "Joint denoising and deblurring of photographs with a slider for each."
    space = SPACE
    scale = 1

    def __init__(self, config: DenoiseDeblurConfig) -> None:
        self.config = config
        self.loss = BlendedLoss(self.space, DISTANCES[config.distance])

    def degrade(self, clean: Tensor, noise_sigma: Tensor, blur_sigma: Tensor, noise: Tensor) -> Degraded:
        """Inputs and corner targets of clean images.

        Args:
            clean: (B, 3, H, W), RGB in [0, 1].
            noise_sigma: (B,), in units of 1/255.
            blur_sigma: (B,), in pixels.
            noise: (B, 3, H, W), standard normal.
        """
        blurred = gaussian_blur(clean, blur_sigma)
        inputs = add_noise(blurred, noise_sigma, noise)
        noisy = add_noise(clean, noise_sigma, noise)
        return Degraded(inputs, torch.stack([inputs, blurred, noisy, clean], dim=1))

    def sample(self, clean: Tensor, keys: list[tuple[int | str, ...]]) -> Degraded:
        """A training batch: levels and noise of sample b drawn from the stream of keys[b]."""
        draws = [self._draw(clean.shape[1:], key) for key in keys]
        levels = torch.stack([level for level, _ in draws]).to(clean.device)
        noise = torch.stack([noise for _, noise in draws]).to(clean.device)
        return self.degrade(clean, levels[:, 0], levels[:, 1], noise)

    def blend(self, targets: Tensor, omega: Tensor) -> Tensor:
        """The target (B, 3, H, W) at omega (B, 2)."""
        return blend(self.space, targets, omega)

    def _draw(self, shape: torch.Size, key: tuple[int | str, ...]) -> tuple[Tensor, Tensor]:
        stream = generator(*key, "degradation")
        ranges = torch.tensor([self.config.noise_sigma, self.config.blur_sigma])
        levels = ranges[:, 0] + torch.rand(2, generator=stream) * (ranges[:, 1] - ranges[:, 0])
        return levels, torch.randn(shape, generator=stream)
