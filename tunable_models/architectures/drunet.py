"""DRUNet: a residual U-Net for denoising, after the denoiser of plug-and-play restoration.

Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", TPAMI 2021,
https://arxiv.org/abs/2008.13751; state_dict keys of ``UNetRes`` in https://github.com/cszn/KAIR and
https://github.com/cszn/DPIR, whose ``drunet_color.pth`` the preset ``color`` loads and computes exactly.

The original sees a fourth plane beside RGB, which says how strong the noise is. Pictures have three
channels here, so the plane is an option: ``noise_map`` is one fixed level, and the network appends the
plane itself. Published weights thus serve at a level chosen when the network is built; that level is no
weight, and the same file loads at any. What a slider should change is learnt by the kernels instead.

The presets ``half-*`` work at half resolution (pixel unshuffle, as FFDNet,
https://arxiv.org/abs/1710.04026, does) and predict a correction that is added to the input, zero at the
start. Where the original needs sides that are multiples of its grid, this one mirrors up to them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from tunable_models.architectures import options
from tunable_models.architectures.contract import (
    ImageContract,
    Step,
    convolution_step,
    count_radius,
    doubling_step,
    halving_step,
)
from tunable_models.architectures.padding import crop, mirror_pad

LEVEL_GAIN = 0.5
"""How much a fresh head, step down or step up multiplies the scale of the features.

A step up takes a sum of two features that are nearly equal at first, and halves it. And small features
keep the tail's first updates small: with Adam they are as large as the learning rate whatever the
features are.
"""

BRANCH_GAIN = 0.1
"""Strength of a fresh residual branch beside what it is added to.

At full strength every block would double the mean square of the features, 28 times over in the preset
``color``; damped, the blocks begin near the identity.
"""


@dataclass(frozen=True, kw_only=True)
class DRUNetConfig:
    """Options of :class:`DRUNet`.

    Attributes:
        widths: channels of each level, highest resolution first; 2 to 6 levels of 1 to 4096.
        blocks: residual blocks of each level on the way down, of the lowest, and on the way up; 1 to 64.
        unshuffle: the input's pixels, 1 x 1 or 2 x 2 of them, that make one of the highest level: 1 or 2.
        bias: whether convolutions have one. The original's have none, so that without a noise map its
            output scales with its input; a tunable network with them can shift features by omega.
        noise_map: level of the constant plane beside RGB, a standard deviation in 1/255, 0 to 255; None
            for no plane. The original was trained on levels up to 50, and its weights need a plane.
        residual: whether the output is added to the input; the original predicts the picture itself.

    Raises:
        ArchitectureError: a value of a wrong type or out of range.

    Example:
        >>> DRUNetConfig(widths=[16, 32], blocks=1).widths
        (16, 32)
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    blocks: int = 4
    unshuffle: int = 1
    bias: bool = False
    noise_map: float | None = None
    residual: bool = True

    def __post_init__(self) -> None:
        widths = options.check_integers("drunet", "widths", self.widths, 1, 4096, longest=6, shortest=2)
        object.__setattr__(self, "widths", widths)
        options.check_integer("drunet", "blocks", self.blocks, 1, 64)
        options.check_integer("drunet", "unshuffle", self.unshuffle, 1, 2)
        options.check_flag("drunet", "bias", self.bias)
        options.check_flag("drunet", "residual", self.residual)
        if self.noise_map is not None:
            options.check_number("drunet", "noise_map", self.noise_map, 0, 255)

    @property
    def alignment(self) -> int:
        """The grid of the lowest level, in pixels of the picture."""
        side: int = 2 ** (len(self.widths) - 1)
        return self.unshuffle * side


PRESETS: dict[str, dict[str, Any]] = {
    "color": {"noise_map": 25.0, "residual": False},
    "half-s": {"unshuffle": 2, "widths": (24, 48, 96), "blocks": 2},
    "half-m": {"unshuffle": 2, "widths": (48, 96, 192), "blocks": 2},
    "half-l": {"unshuffle": 2, "widths": (96, 192, 288), "blocks": 3},
}
"""The original for colour pictures, set to noise of 25/255; and 0.59, 2.35 and 10.07 M parameters at half
resolution, of which the last is for GPUs."""


class DRUNet(nn.Module):
    """The network; (B, 3, H, W) to the same, any H and W from 1 px.

    With ``residual`` it starts as the identity.

    Example:
        >>> DRUNet(DRUNetConfig(widths=[4, 8], blocks=1, noise_map=25))(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 5, 7])
    """

    def __init__(self, config: DRUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.alignment = config.alignment
        self.unshuffle = config.unshuffle
        self.noise_map = config.noise_map
        self.residual = config.residual
        self.levels = range(1, len(config.widths))
        planes, widths, bias = 3 * config.unshuffle**2, config.widths, config.bias
        steps = list(zip(self.levels, pairwise(widths), strict=True))

        def make_blocks(width: int) -> list[nn.Module]:
            return [ResidualBlock(width, bias) for _ in range(config.blocks)]

        head = nn.Conv2d(planes + (config.noise_map is not None), widths[0], 3, padding=1, bias=bias)
        self.m_head = _initialise_layer(head, LEVEL_GAIN)
        for level, (high, low) in steps:
            down = _initialise_layer(nn.Conv2d(high, low, 2, stride=2, bias=bias), LEVEL_GAIN)
            self.add_module(f"m_down{level}", nn.Sequential(*make_blocks(high), down))
        self.m_body = nn.Sequential(*make_blocks(widths[-1]))
        for level, (high, low) in reversed(steps):
            up = _initialise_layer(nn.ConvTranspose2d(low, high, 2, stride=2, bias=bias), LEVEL_GAIN)
            self.add_module(f"m_up{level}", nn.Sequential(up, *make_blocks(high)))
        tail = nn.Conv2d(widths[0], planes, 3, padding=1, bias=bias)
        # A correction of zero: training begins at the input's own quality.
        self.m_tail = _initialise_layer(tail, 0.0 if config.residual else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Restore x (B, 3, H, W), RGB in [0, 1]; the output is not clamped."""
        height, width = x.shape[-2:]
        skips = [self.m_head(self._make_planes(mirror_pad(x, self.alignment)))]
        for level in self.levels:
            skips.append(self.get_submodule(f"m_down{level}")(skips[-1]))
        features = self.m_body(skips[-1])
        for level in reversed(self.levels):
            features = self.get_submodule(f"m_up{level}")(features + skips.pop())
        output: Tensor = self.m_tail(features + skips.pop())
        if self.unshuffle > 1:
            output = functional.pixel_shuffle(output, self.unshuffle)
        output = crop(output, height, width)
        return x + output if self.residual else output

    def _make_planes(self, x: Tensor) -> Tensor:
        """The planes that the head sees, of a padded picture."""
        if self.unshuffle > 1:
            x = functional.pixel_unshuffle(x, self.unshuffle)
        if self.noise_map is None:
            return x
        # One plane at the features' resolution: unshuffled with the picture it would come four times.
        return functional.pad(x, (0, 0, 0, 0, 0, 1), value=self.noise_map / 255)


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, and the input added; (B, width, H, W) to the same.

    Example:
        >>> ResidualBlock(4, bias=False)(torch.rand(1, 4, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1, bias=bias) for _ in range(2))
        rectified = 2**0.5  # the ReLU halves the mean square
        self.res = nn.Sequential(
            _initialise_layer(first, 1.0),
            nn.ReLU(),
            _initialise_layer(second, BRANCH_GAIN * rectified),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Restore features."""
        change: Tensor = self.res(x)
        return x + change


def _initialise_layer(layer: nn.Conv2d | nn.ConvTranspose2d, gain: float) -> nn.Module:
    """Draw weights that multiply the input's scale by ``gain`` (He et al., https://arxiv.org/abs/1502.01852)."""
    # A step up is of stride 2 and side 2: every output pixel comes from one input pixel.
    taps = 1 if isinstance(layer, nn.ConvTranspose2d) else layer.kernel_size[0] ** 2
    # Uniform: on the meta device a normal draw imports torch's compiler, which takes seconds.
    bound = gain * (3 / (layer.in_channels * taps)) ** 0.5
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def make_contract(config: DRUNetConfig) -> ImageContract:
    """What is seen through the lowest level; the skip connections see less.

    Example:
        >>> make_contract(DRUNetConfig(widths=[16, 32], blocks=1)).radius_px
        11
    """
    return ImageContract(
        alignment=config.alignment, radius_px=count_radius(_receptive_steps(config), config.alignment)
    )


def _receptive_steps(config: DRUNetConfig) -> Iterator[Step]:
    blocks = convolution_step(2 * config.blocks)  # two 3x3 convolutions each
    halvings = len(config.widths) - 1
    if config.unshuffle > 1:
        yield doubling_step
    yield convolution_step(1)
    for _ in range(halvings):
        yield from (blocks, doubling_step)
    yield blocks
    for _ in range(halvings):
        yield from (halving_step, blocks)
    yield convolution_step(1)
    if config.unshuffle > 1:
        yield halving_step
