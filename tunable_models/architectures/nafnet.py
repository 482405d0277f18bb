"""NAFNet: a U-shaped network without non-linear activation functions.

Chen et al., "Simple Baselines for Image Restoration", ECCV 2022, https://arxiv.org/abs/2204.04676;
state_dict keys of https://github.com/megvii-research/NAFNet.

Its simplified channel attention averages over the whole picture, so no tile of it is exact. Where the
original pads with zeros up to a multiple of its grid, this one mirrors; at multiples they are equal.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunable_models.architectures import options
from tunable_models.architectures.contract import ImageContract
from tunable_models.architectures.padding import crop, mirror_pad
from tunable_models.errors import ArchitectureError


@dataclass(frozen=True, kw_only=True)
class NAFNetConfig:
    """Options of :class:`NAFNet`.

    Attributes:
        width: channels at full resolution, doubled at every level; at most 4096 at the lowest.
        enc_blocks: blocks of each encoder, highest resolution first; 1 to 6 levels of 0 to 64.
        middle_blocks: blocks at the lowest resolution, 1 to 64.
        dec_blocks: blocks of each decoder, lowest resolution first; as many levels as encoders.

    Raises:
        ArchitectureError: a value of a wrong type or out of range, or levels that do not match.

    Example:
        >>> NAFNetConfig(width=16, enc_blocks=[1, 1], dec_blocks=[1, 1]).enc_blocks
        (1, 1)
    """

    width: int = 32
    enc_blocks: tuple[int, ...] = (2, 2, 4, 8)
    middle_blocks: int = 12
    dec_blocks: tuple[int, ...] = (2, 2, 2, 2)

    def __post_init__(self) -> None:
        options.check_integer("nafnet", "width", self.width, 1, 1024)
        options.check_integer("nafnet", "middle_blocks", self.middle_blocks, 1, 64)
        for name in ("enc_blocks", "dec_blocks"):
            object.__setattr__(
                self, name, options.check_integers("nafnet", name, getattr(self, name), 0, 64, 6)
            )
        if len(self.enc_blocks) != len(self.dec_blocks):
            raise ArchitectureError(
                f"nafnet: expected as many dec_blocks as enc_blocks ({len(self.enc_blocks)}), "
                f"got {len(self.dec_blocks)}"
            )
        options.check_depth("nafnet", self.width, len(self.enc_blocks))


_DEEP = {"enc_blocks": (1, 1, 1, 28), "middle_blocks": 1, "dec_blocks": (1, 1, 1, 1)}

PRESETS: dict[str, dict[str, Any]] = {
    "w32": {"width": 32},
    "w64": {"width": 64},
    "deblur-w32": {"width": 32, **_DEEP},
    "deblur-w64": {"width": 64, **_DEEP},
}
"""The published sizes: denoising (SIDD) and deblurring (GoPro), 32 or 64 channels wide."""


class NAFNet(nn.Module):
    """The network; (B, 3, H, W) to the same, any H and W from 1 px.

    Example:
        >>> config = NAFNetConfig(width=4, enc_blocks=[1], middle_blocks=1, dec_blocks=[1])
        >>> NAFNet(config)(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 5, 7])
    """

    def __init__(self, config: NAFNetConfig) -> None:
        super().__init__()
        self.config = config
        self.alignment = 2 ** len(config.enc_blocks)
        width = config.width
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.decoders, self.ups = nn.ModuleList(), nn.ModuleList()
        for count in config.enc_blocks:
            self.encoders.append(_make_blocks(width, count))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle_blks = _make_blocks(width, config.middle_blocks)
        for count in config.dec_blocks:
            self.ups.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(_make_blocks(width, count))

    def forward(self, x: Tensor) -> Tensor:
        """Restore x (B, 3, H, W), RGB in [0, 1]; the output is not clamped."""
        height, width = x.shape[-2:]
        features = self.intro(mirror_pad(x, self.alignment))
        skips: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(features))
            features = down(skips[-1])
        features = self.middle_blks(features)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            features = decoder(up(features) + skips.pop())
        correction: Tensor = self.ending(features)
        return x + crop(correction, height, width)


class NAFBlock(nn.Module):
    """Gated depthwise convolution, then a gated 1x1 network; (B, width, H, W) to the same.

    Both branches start at zero strength, so a fresh block is the identity.

    Example:
        >>> x = torch.rand(1, 4, 6, 6)
        >>> torch.equal(NAFBlock(4)(x), x)
        True
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm2d(width), LayerNorm2d(width)
        self.conv1 = nn.Conv2d(width, 2 * width, 1)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1))
        self.conv3 = nn.Conv2d(width, width, 1)
        self.conv4 = nn.Conv2d(width, 2 * width, 1)
        self.conv5 = nn.Conv2d(width, width, 1)
        self.beta = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Restore features."""
        gated = _gate_halves(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.beta * self.conv3(gated * self.sca(gated))
        change: Tensor = self.conv5(_gate_halves(self.conv4(self.norm2(x))))
        return x + self.gamma * change


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, H, W), at every pixel on its own.

    Example:
        >>> LayerNorm2d(2)(torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)).detach().flatten().round()
        tensor([-1.,  1.])
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, H, W)."""
        normal = functional.layer_norm(
            x.movedim(1, -1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return normal.movedim(-1, 1)


def _make_blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(width) for _ in range(count)))


def _gate_halves(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=1)
    return first * second


def make_contract(config: NAFNetConfig) -> ImageContract:
    """Channel attention sees the whole image; every level halves the resolution.

    Example:
        >>> make_contract(NAFNetConfig()).alignment
        16
    """
    return ImageContract(alignment=2 ** len(config.enc_blocks), radius_px=None)
