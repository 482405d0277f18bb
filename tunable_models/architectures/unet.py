"""A small U-Net that predicts a correction.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
https://arxiv.org/abs/1505.04597. Changed for restoration: same-size convolutions, strided convolutions
in place of pooling, no normalisation, and the output added to the input as in residual denoisers
(https://arxiv.org/abs/1608.03981).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models.architectures import options, reach
from tunable_models.architectures.contract import ImageContract
from tunable_models.architectures.padding import crop, mirror_pad


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Options of :class:`UNet`.

    Attributes:
        width: channels at full resolution, doubled at every level; at most 4096 at the lowest.
        depth: times that the resolution is halved, 1 to 6.

    Raises:
        ArchitectureError: a value of a wrong type or out of range.

    Example:
        >>> UNetConfig(width=16).depth
        3
    """

    width: int = 32
    depth: int = 3

    def __post_init__(self) -> None:
        options.integer("unet", "width", self.width, 1, 1024)
        options.integer("unet", "depth", self.depth, 1, 6)
        options.deepest("unet", self.width, self.depth)


PRESETS: dict[str, dict[str, Any]] = {"small": {"width": 32, "depth": 3}}
"""2.495 M parameters."""


class UNet(nn.Module):
    """The network; (B, 3, H, W) to the same, any H and W from 1 px; it starts as the identity.

    Example:
        >>> UNet(UNetConfig(width=4, depth=2))(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 5, 7])
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.alignment = 2**config.depth
        widths = [config.width * 2**level for level in range(config.depth + 1)]
        pairs = list(pairwise(widths))
        self.intro = nn.Conv2d(3, widths[0], 3, padding=1)
        self.encoders = nn.ModuleList(_convolutions(high, high) for high, _ in pairs)
        self.downs = nn.ModuleList(nn.Conv2d(high, low, 2, stride=2) for high, low in pairs)
        self.middle = _convolutions(widths[-1], widths[-1])
        self.ups = nn.ModuleList(nn.ConvTranspose2d(low, high, 2, stride=2) for high, low in reversed(pairs))
        self.decoders = nn.ModuleList(_convolutions(2 * high, high) for high, _ in reversed(pairs))
        self.ending = nn.Conv2d(widths[0], 3, 3, padding=1)
        for parameter in self.ending.parameters():  # training begins at the input's own quality
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Restore x (B, 3, H, W), RGB in [0, 1]; the output is not clamped."""
        height, width = x.shape[-2:]
        features = self.intro(mirror_pad(x, self.alignment))
        skips: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(features))
            features = down(skips[-1])
        features = self.middle(features)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            features = decoder(torch.cat((up(features), skips.pop()), dim=1))
        correction: Tensor = self.ending(features)
        return x + crop(correction, height, width)


def _convolutions(inputs: int, width: int) -> nn.Sequential:
    first = nn.Conv2d(inputs, width, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())


def contract(config: UNetConfig) -> ImageContract:
    """What is seen through the lowest level; the skip connections see less.

    Example:
        >>> contract(UNetConfig()).radius_px
        53
    """
    grid = 2**config.depth
    return ImageContract(alignment=grid, radius_px=reach.radius(_steps(config), grid))


def _steps(config: UNetConfig) -> Iterator[reach.Step]:
    pair = reach.convolution(2)  # two 3x3 convolutions
    yield reach.convolution(1)
    for _ in range(config.depth):
        yield from (pair, reach.doubling)
    yield pair
    for _ in range(config.depth):
        yield from (reach.halving, pair)
    yield reach.convolution(1)
