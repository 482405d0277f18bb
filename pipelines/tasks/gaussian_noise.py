"""Tasks whose degradation is white Gaussian noise and nothing else.

Shapes: photographs (B, 3, H, W); sigmas (B,) in units of 1/255.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor

from pipelines.core.random_streams import generator
from pipelines.tasks.degradations import add_noise
from pipelines.tasks.ranges import Range, check_range, draw_strengths, middle
from pipelines.tasks.task import Example, Key, Task


def _checked(values: Range) -> Range:
    check_range("noise_sigma", values, 255.0)
    return values


NoiseSigma = Annotated[Range, AfterValidator(_checked)]
"""An option: the range of the noise, sigma in units of 1/255."""


class GaussianNoise(Task):
    """The part of a task that makes its examples; targets ``input`` and ``clean``.

    Attributes:
        noise_sigma: the range that each training sample draws its own noise from.
    """

    noise_sigma: Range

    @property
    def levels(self) -> Mapping[str, float]:
        """The middle of the range."""
        return {"noise_sigma": middle(self.noise_sigma)}

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Noise of every sample from the range."""
        strengths, noise = draw_strengths([self.noise_sigma], keys, clean.shape[1:])
        return self._example(clean, strengths[:, 0], noise)

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """All samples at ``noise_sigma``."""
        noise = torch.randn(clean.shape, generator=generator(*key))
        return self._example(clean, torch.full((len(clean),), levels["noise_sigma"]), noise)

    def _example(self, clean: Tensor, sigma: Tensor, noise: Tensor) -> Example:
        inputs = add_noise(clean, sigma.to(clean.device), noise.to(clean.device))
        return Example(inputs, {"input": inputs, "clean": clean})
