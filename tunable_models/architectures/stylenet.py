"""The style transfer network of Johnson et al.

Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016,
https://arxiv.org/abs/1603.08155, with instance normalisation (https://arxiv.org/abs/1607.08022) and
nearest-neighbour enlargement; state_dict keys of ``fast_neural_style`` in
https://github.com/pytorch/examples. The preset ``tunable`` has the size of the style network of
https://arxiv.org/abs/2304.00898 (8.781 M parameters).

Images are RGB in [0, 1] here, in [0, 255] there: pictures are multiplied by 255 on the way in and
divided by it on the way out, so that the original's weights give the original's result divided by 255.
The original's sides are multiples of 4 px; others are mirrored up to one and cropped.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from tunable_models.architectures import options
from tunable_models.architectures.contract import ImageContract
from tunable_models.architectures.padding import crop, mirror_pad

_GRID = 4
_RGB_RANGE = 255.0


@dataclass(frozen=True, kw_only=True)
class StyleNetConfig:
    """Options of :class:`StyleNet`.

    Attributes:
        width: channels at full resolution, doubled at each of the two lower ones; 1 to 512.
        blocks: residual blocks, 1 to 64.
        depth: convolutions at each resolution of the encoder and of the decoder, 1 to 8.

    Raises:
        ArchitectureError: a value of a wrong type or out of range.

    Example:
        >>> StyleNetConfig(width=16).blocks
        5
    """

    width: int = 32
    blocks: int = 5
    depth: int = 1

    def __post_init__(self) -> None:
        options.check_integer("stylenet", "width", self.width, 1, 512)
        options.check_integer("stylenet", "blocks", self.blocks, 1, 64)
        options.check_integer("stylenet", "depth", self.depth, 1, 8)


PRESETS: dict[str, dict[str, Any]] = {
    "johnson": {"width": 32, "blocks": 5, "depth": 1},
    "tunable": {"width": 64, "blocks": 6, "depth": 2},
}
"""The published network, and the wider one that was made tunable."""


class StyleNet(nn.Module):
    """The network; (B, 3, H, W) to the same, any H and W from 1 px.

    Example:
        >>> StyleNet(StyleNetConfig(width=4, blocks=1))(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 5, 7])
    """

    def __init__(self, config: StyleNetConfig) -> None:
        super().__init__()
        self.config = config
        self.alignment = _GRID
        high, middle, low = (config.width * factor for factor in (1, 2, 4))
        self.conv1, self.in1 = ConvLayer(3, high, 9), _make_norm(high)
        self.conv2, self.in2 = ConvLayer(high, middle, 3, stride=2), _make_norm(middle)
        self.conv3, self.in3 = ConvLayer(middle, low, 3, stride=2), _make_norm(low)
        self._residuals = [f"res{i}" for i in range(1, config.blocks + 1)]
        for name in self._residuals:
            self.add_module(name, ResidualBlock(low))
        self.deconv1, self.in4 = ConvLayer(low, middle, 3), _make_norm(middle)
        self.deconv2, self.in5 = ConvLayer(middle, high, 3), _make_norm(high)
        self.deconv3 = ConvLayer(high, 3, 9)
        after = {"conv2": middle, "conv3": low, "deconv1": middle, "deconv2": high}
        self.extra = nn.ModuleDict(
            {name: _extra_blocks(width, config.depth - 1) for name, width in after.items()}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Paint x (B, 3, H, W), RGB in [0, 1]; the output is not clamped."""
        height, width = x.shape[-2:]
        # Two cells at least: below 8 px there is nothing to reflect, and no variance to normalise by.
        y = functional.relu(self.in1(self.conv1(mirror_pad(x * _RGB_RANGE, _GRID, least=2))))
        y = self.extra["conv2"](functional.relu(self.in2(self.conv2(y))))
        y = self.extra["conv3"](functional.relu(self.in3(self.conv3(y))))
        for name in self._residuals:
            y = self.get_submodule(name)(y)
        y = self.extra["deconv1"](functional.relu(self.in4(self.deconv1(_double_size(y)))))
        y = self.extra["deconv2"](functional.relu(self.in5(self.deconv2(_double_size(y)))))
        painting: Tensor = self.deconv3(y) / _RGB_RANGE
        return crop(painting, height, width)


class ConvLayer(nn.Module):
    """A convolution of (B, inputs, H, W) that mirrors the border; strides divide the size.

    Example:
        >>> ConvLayer(3, 4, 9)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 4, 8, 8])
    """

    def __init__(self, inputs: int, outputs: int, kernel_px: int, stride: int = 1) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            inputs, outputs, kernel_px, stride, padding=kernel_px // 2, padding_mode="reflect"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, inputs, H, W)."""
        y: Tensor = self.conv2d(x)
        return y


class ResidualBlock(nn.Module):
    """Two normalised convolutions, and the input added; (B, width, H, W) to the same.

    Example:
        >>> ResidualBlock(4)(torch.rand(1, 4, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.in1 = ConvLayer(width, width, 3), _make_norm(width)
        self.conv2, self.in2 = ConvLayer(width, width, 3), _make_norm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Paint features."""
        change: Tensor = self.in2(self.conv2(functional.relu(self.in1(self.conv1(x)))))
        return x + change


def _make_norm(width: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(width, affine=True)


def _extra_blocks(width: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [ConvLayer(width, width, 3), _make_norm(width), nn.ReLU()]
    return nn.Sequential(*layers)


def _double_size(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def make_contract(config: StyleNetConfig) -> ImageContract:
    """Instance normalisation sees the whole image; the features are on a grid of 4 px.

    Example:
        >>> make_contract(StyleNetConfig()).radius_px is None
        True
    """
    return ImageContract(alignment=_GRID, radius_px=None)
