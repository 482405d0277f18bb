"""Real-world degradations: the noise of a sensor and the artefacts of JPEG, a slider for each.

A camera adds noise first and compresses then, so the network sees JPEG(x + n). The corners of the box:
(0,0) the input, (1,0) the noisy picture without JPEG x + n, (0,1) the clean picture with JPEG JPEG(x),
(1,1) the clean x.

Nothing tells the network how bad a picture is, and at (1,1) it costs even a good one some detail, so both
controls default to the middle.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from pipelines.core.random_streams import generator, stream_seed
from pipelines.data.transforms import add_sensor_noise, compress_jpeg
from pipelines.tasks.degradations import Range, check_range, mean_strength
from pipelines.tasks.distances import Distance
from pipelines.tasks.registry import TaskOptions
from pipelines.tasks.task import BlendedTask, Example, Key
from tunable_models import Control, ControlSpace

SPACE = ControlSpace.box(
    Control(
        name="dejpeg",
        default=0.5,
        description="How much of JPEG's blocks and ringing is undone.",
        metric="PSNR to the picture without JPEG",
    ),
    Control(
        name="denoise",
        default=0.5,
        description="How much of the sensor's noise is taken away.",
        metric="PSNR to the picture without noise",
    ),
)
TARGETS = ("input", "uncompressed", "denoised", "clean")

Draw = tuple[float, int | None]
"""Sigma at mid grey in 1/255, and JPEG's quality; None is no JPEG."""


class RealWorldConfig(TaskOptions):
    """What the camera did."""

    name: Literal["real-world"] = "real-world"
    noise_sigma: Range = (5.0, 25.0)
    """Range of the sensor's noise, sigma at mid grey in units of 1/255; each training sample draws its
    own."""
    jpeg_quality: tuple[int, int] = Field(default=(15, 60))
    """Range of JPEG's quality, 1 to 100."""
    clean_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training samples without noise and, drawn independently, of those without JPEG: they
    teach the network to leave alone what needs no restoration."""
    distance: Distance = "rmse"
    """Distance to the blended target."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range("noise_sigma", self.noise_sigma, 128.0)
        low, high = self.jpeg_quality
        if not 1 <= low <= high <= 100:
            raise ValueError(f"jpeg_quality must be [low, high] within 1..100, got [{low}, {high}]")
        return self


class RealWorld(BlendedTask):
    """The task; targets ``input``, ``uncompressed`` (x + n), ``denoised`` (JPEG(x)) and ``clean``."""

    name: ClassVar[str] = "real-world"
    description: ClassVar[str] = (
        "Restoration of camera pictures with a slider for JPEG artefacts and one for noise."
    )
    config_class = RealWorldConfig

    def __init__(self, config: RealWorldConfig) -> None:
        super().__init__(SPACE, TARGETS, config.distance)
        self.config = config

    @property
    def levels(self) -> Mapping[str, float]:
        """The middle of both ranges."""
        low, high = self.config.jpeg_quality
        return {
            "noise_sigma": mean_strength(self.config.noise_sigma),
            "jpeg_quality": round((low + high) / 2),
        }

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Noise and quality of every sample from their ranges."""
        draws = [self._draw(key) for key in keys]
        seeds = [stream_seed(*key, "sensor") for key in keys]
        return _make_example(clean, draws, seeds)

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """All samples at ``noise_sigma`` and ``jpeg_quality``, which is rounded."""
        draw = (float(levels["noise_sigma"]), round(levels["jpeg_quality"]))
        seeds = [stream_seed(*key, "sensor", index) for index in range(len(clean))]
        return _make_example(clean, [draw] * len(clean), seeds)

    def _draw(self, key: Key) -> Draw:
        stream = generator(*key, "degradation")
        (low, high), (worst, best) = self.config.noise_sigma, self.config.jpeg_quality
        sigma = low + torch.rand((), generator=stream).item() * (high - low)
        quality = int(torch.randint(worst, best + 1, (), generator=stream))
        without_noise, without_jpeg = (torch.rand(2, generator=stream) < self.config.clean_share).tolist()
        return 0.0 if without_noise else sigma, None if without_jpeg else quality


def _make_example(clean: Tensor, draws: Sequence[Draw], seeds: Sequence[int]) -> Example:
    # Through 8-bit pixels on the CPU, which is what a camera's file holds.
    pixels = clean.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    rows = [
        _simulate_camera(np.ascontiguousarray(x), *d, s) for x, d, s in zip(pixels, draws, seeds, strict=True)
    ]
    stacked = torch.from_numpy(np.stack(rows)).to(clean.device).permute(1, 0, 4, 2, 3).float() / 255
    pictures = dict(zip(TARGETS, (*stacked.contiguous(), clean), strict=True))
    return Example(pictures["input"], pictures)


def _simulate_camera(picture: np.ndarray, sigma: float, quality: int | None, seed: int) -> np.ndarray:
    """The input, the noisy and the compressed picture, (3, H, W, 3)."""
    noisy = add_sensor_noise(picture, sigma, seed)
    if quality is None:
        return np.stack([noisy, noisy, picture])
    return np.stack([compress_jpeg(noisy, quality), noisy, compress_jpeg(picture, quality)])
