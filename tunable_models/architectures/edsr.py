"""EDSR: a residual network without batch normalisation.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
https://arxiv.org/abs/1707.02921.

At scale 1 (denoising, deblurring) the network predicts a correction that is added to its input; at
scales 2 to 4 it predicts the image, and a pixel shuffle enlarges. Width 64 and 16 blocks are the
paper's baseline; as in the tunable EDSR of https://arxiv.org/abs/2304.00898 there is no convolution
between the last block and the tail (1.185 M parameters at scale 1).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tunable_models.architectures.contract import ImageContract
from tunable_models.errors import ArchitectureError

RESIDUAL_SCALE = 0.1
"""Damping of wide networks' residual branches; the paper's value, used from 128 channels on."""


@dataclass(frozen=True, kw_only=True)
class EDSRConfig:
    """Options of :class:`EDSR`.

    Attributes:
        width: channels of the trunk, 1 to 1024.
        blocks: residual blocks, 1 to 128.
        scale: enlargement, 1 to 4.

    Raises:
        ArchitectureError: a value that is no integer or out of range.
    """

    width: int = 64
    blocks: int = 16
    scale: int = 1

    def __post_init__(self) -> None:
        for name, high in (("width", 1024), ("blocks", 128), ("scale", 4)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
                raise ArchitectureError(f"edsr: {name} must be an integer from 1 to {high}, got {value!r}")


class EDSR(nn.Module):
    """The network; (B, 3, H, W) to (B, 3, scale*H, scale*W), any H and W from 1 px."""

    mean: Tensor

    def __init__(self, config: EDSRConfig) -> None:
        super().__init__()
        width = config.width
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5), persistent=False)
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(width) for _ in range(config.blocks)))
        self.upsample = _upsampler(width, config.scale)
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        self.corrects = config.scale == 1
        if self.corrects:  # start as the identity: training begins at the input's own quality
            nn.init.zeros_(self.tail.weight)
            nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Restore x (B, 3, H, W), RGB in [0, 1]; the output is not clamped."""
        features = self.body(self.head(x - self.mean))
        change: Tensor = self.tail(self.upsample(features))
        return x + change if self.corrects else self.mean + change


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, and the input added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.scale = RESIDUAL_SCALE if width >= 128 else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same."""
        change: Tensor = self.conv2(self.relu(self.conv1(x)))
        return x + self.scale * change


def _upsampler(width: int, scale: int) -> nn.Sequential:
    factors = {1: [], 2: [2], 3: [3], 4: [2, 2]}[scale]
    steps: list[nn.Module] = []
    for factor in factors:
        steps += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return nn.Sequential(*steps)


def contract(config: EDSRConfig) -> ImageContract:
    """Every 3x3 convolution reaches one pixel further, of its own resolution.

    Head, two a block, and the tail; above scale 1 also the upsampler, and what follows it reaches
    fractions of an input pixel that add up to less than one.
    """
    return ImageContract(scale=config.scale, radius_px=2 * config.blocks + (2 if config.scale == 1 else 3))
