"""EDSR: a residual network without batch normalisation.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
https://arxiv.org/abs/1707.02921; state_dict keys of https://github.com/sanghyun-son/EDSR-PyTorch.

At scales 2 to 4 it is the paper's network and loads the original project's weights: its closing
convolution, its long skip connection, its shift by the mean of DIV2K. At scale 1 (denoising, deblurring)
it predicts a correction that is added to its input and starts as the identity; as in the tunable EDSR
of https://arxiv.org/abs/2304.00898 there is no convolution between the last block and the tail
(1.185 M parameters with 16 blocks of 64 channels).

Images are RGB in [0, 1] here, in [0, 255] there. With ``rgb_range=255``, which the presets of scales 2
to 4 set, pictures are multiplied by 255 on the way in and divided by it on the way out, and the
original's weights give the original's result divided by 255.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models.architectures import options
from tunable_models.architectures.contract import ImageContract
from tunable_models.architectures.upsampler import make_upsampler
from tunable_models.errors import ArchitectureError

RESIDUAL_SCALE = 0.1
"""Damping of wide networks' residual branches; the paper's value, used from 128 channels on."""

_GREY = (0.5, 0.5, 0.5)
_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


@dataclass(frozen=True, kw_only=True)
class EDSRConfig:
    """Options of :class:`EDSR`.

    Attributes:
        width: channels of the trunk, 1 to 1024.
        blocks: residual blocks, 1 to 128.
        scale: enlargement, 1 to 4.
        rgb_range: the range in which the network works, 1 to 65535; 255 for the original's weights.
        res_scale: damping of the residual branches, 0 to 1; by default 1, and 0.1 from 128 channels on.
        dilations: of the first convolution of every block, one number a block, 1 to 16; None for 1 in
            all of them, as in the paper. Larger ones see further at the same cost, as IRCNN
            (https://arxiv.org/abs/1704.03264) does.

    Raises:
        ArchitectureError: a value of a wrong type or out of range.

    Example:
        >>> EDSRConfig(width=32, blocks=4).scale
        1
    """

    width: int = 64
    blocks: int = 16
    scale: int = 1
    rgb_range: float = 1.0
    res_scale: float | None = None
    dilations: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        options.check_integer("edsr", "width", self.width, 1, 1024)
        options.check_integer("edsr", "blocks", self.blocks, 1, 128)
        options.check_integer("edsr", "scale", self.scale, 1, 4)
        options.check_number("edsr", "rgb_range", self.rgb_range, 1, 65535)
        if self.res_scale is not None:
            options.check_number("edsr", "res_scale", self.res_scale, 0, 1)
        if self.dilations is not None:
            dilations = options.check_integers(
                "edsr", "dilations", self.dilations, 1, 16, self.blocks, self.blocks
            )
            object.__setattr__(self, "dilations", dilations)

    @property
    def reaches(self) -> tuple[int, ...]:
        """The dilation of every block."""
        return self.dilations or (1,) * self.blocks

    @property
    def damping(self) -> float:
        """The factor of every residual branch."""
        if self.res_scale is not None:
            return self.res_scale
        return RESIDUAL_SCALE if self.width >= 128 else 1.0


PRESETS: dict[str, dict[str, Any]] = {
    "baseline-x1": {"width": 64, "blocks": 16, "scale": 1},
    **{
        f"{name}-x{scale}": {"width": width, "blocks": blocks, "scale": scale, "rgb_range": 255.0}
        for name, width, blocks in (("baseline", 64, 16), ("large", 256, 32))
        for scale in (2, 3, 4)
    },
}
"""The paper's baseline and its large network (section 4.2 of it), and the baseline at scale 1."""


class EDSR(nn.Module):
    """The network; (B, 3, H, W) to (B, 3, scale*H, scale*W), any H and W from 1 px.

    Example:
        >>> EDSR(EDSRConfig(width=8, blocks=1, scale=3))(torch.rand(1, 3, 5, 4)).shape
        torch.Size([1, 3, 15, 12])
    """

    def __init__(self, config: EDSRConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.alignment = 1
        self.rgb_range = float(config.rgb_range)
        self.corrects = config.scale == 1
        self.sub_mean = MeanShift(_GREY if self.corrects else _DIV2K_MEAN, -self.rgb_range, not self.corrects)
        self.head = nn.Sequential(nn.Conv2d(3, width, 3, padding=1))
        blocks: list[nn.Module] = [ResidualBlock(width, config.damping, each) for each in config.reaches]
        if not self.corrects:
            blocks.append(nn.Conv2d(width, width, 3, padding=1))
        self.body = nn.Sequential(*blocks)
        self.tail = nn.Sequential(make_upsampler(width, config.scale), nn.Conv2d(width, 3, 3, padding=1))
        if self.corrects:  # start as the identity: training begins at the input's own quality
            for parameter in self.tail.parameters():
                nn.init.zeros_(parameter)
        else:
            self.add_mean = MeanShift(_DIV2K_MEAN, self.rgb_range, True)

    def forward(self, x: Tensor) -> Tensor:
        """Restore x (B, 3, H, W), RGB in [0, 1]; the output is not clamped."""
        shallow = self.head(self.sub_mean(x * self.rgb_range))
        deep = self.body(shallow)
        if self.corrects:
            correction: Tensor = self.tail(deep)
            return x + correction / self.rgb_range
        enlarged: Tensor = self.add_mean(self.tail(deep + shallow))
        return enlarged / self.rgb_range


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, and the input added; (B, width, H, W) to the same.

    Example:
        >>> ResidualBlock(4, damping=0.1)(torch.rand(1, 4, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, width: int, damping: float, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.damping = damping

    def forward(self, x: Tensor) -> Tensor:
        """Restore features."""
        change: Tensor = self.body(x)
        return torch.add(x, change, alpha=self.damping)


class MeanShift(nn.Module):
    """A constant colour added to (B, 3, H, W): fixed, neither trained nor made tunable.

    The original keeps it as a 1x1 convolution; these are buffers of the same names and shapes.

    Args:
        mean: RGB in [0, 1].
        rgb_range: factor of the mean, negative to subtract it.
        persistent: whether the state_dict holds it.

    Example:
        >>> MeanShift((0.5, 0.5, 0.5), -1.0)(torch.ones(1, 3, 1, 1)).flatten()
        tensor([0.5000, 0.5000, 0.5000])
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, mean: tuple[float, float, float], rgb_range: float, persistent: bool = True) -> None:
        super().__init__()
        self.rgb_range = abs(rgb_range)
        # In Python: on the meta device torch.eye and products import torch._dynamo, which takes 1.5 s.
        eye = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        self.register_buffer("weight", eye.reshape(3, 3, 1, 1), persistent)
        self.register_buffer("bias", torch.tensor([rgb_range * value for value in mean]), persistent)

    def forward(self, x: Tensor) -> Tensor:
        """Shift x (B, 3, H, W)."""
        # Not a convolution: autocast would round whole pictures to half precision.
        gain = self.weight[:, :, 0, 0].diagonal()
        return x * gain.reshape(3, 1, 1) + self.bias.reshape(3, 1, 1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        bias = state_dict.get(f"{prefix}bias")
        if isinstance(bias, Tensor) and not bias.is_meta:
            self._refuse_range(float(bias.abs().max()))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _refuse_range(self, mean: float) -> None:
        # The weights fit a network of any range, and would quietly give nonsense in a wrong one.
        if not 0.1 * self.rgb_range <= mean <= self.rgb_range:
            raise ArchitectureError(
                f"edsr: expected weights trained on the range 0 to {self.rgb_range:g}, got a mean of "
                f"{mean:g}; build with rgb_range={255 if mean > 1 else 1}"
            )


def make_contract(config: EDSRConfig) -> ImageContract:
    """Every 3x3 convolution reaches its dilation further, of its own resolution.

    Head, two a block, and the tail; above scale 1 also the closing convolution and the upsampler, and
    what follows it reaches fractions of an input pixel that add up to less than one.

    Example:
        >>> make_contract(EDSRConfig(blocks=4)).radius_px
        10
    """
    blocks = sum(config.reaches) + config.blocks
    return ImageContract(scale=config.scale, radius_px=blocks + (2 if config.scale == 1 else 4))
