"""SwinIR: attention within shifted windows.

Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCVW 2021,
https://arxiv.org/abs/2108.10257, after Liu et al., "Swin Transformer", ICCV 2021,
https://arxiv.org/abs/2103.14030; state_dict keys of https://github.com/JingyunLiang/SwinIR.

The original stores ``attn_mask``, the masks of all shifted windows of its training size. They are of four
kinds, and the four are what is stored here, so that its loaders find them; files of the original with
masks of any size, or without, are accepted. Stochastic depth, which the original's training code adds, is
left out: every forward gives the same output. The tunable SwinIR of https://arxiv.org/abs/2304.00898 is
this network (11.504 M parameters for denoising).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models.architectures import options
from tunable_models.architectures.contract import (
    ImageContract,
    Step,
    convolution_step,
    count_radius,
    windows_step,
)
from tunable_models.architectures.padding import crop, mirror_pad
from tunable_models.architectures.upsampler import make_upsampler
from tunable_models.architectures.window_attention import AttentionBlock, window_kinds
from tunable_models.errors import ArchitectureError

UPSAMPLERS = ("", "pixelshuffle", "pixelshuffledirect")
"""None (scale 1: a correction is predicted), the classical one, and that of the light networks."""

_RGB_MEAN = (0.4488, 0.4371, 0.4040)
_RECONSTRUCTION_WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class SwinIRConfig:
    """Options of :class:`SwinIR`.

    Attributes:
        width: channels, 1 to 1024 and a multiple of all heads.
        depths: attention layers of each residual group, 1 to 16 groups of 1 to 32.
        heads: attention heads of each group, as many as groups.
        window: side of a window in pixels, 2 to 32; the original's networks for JPEG have 7.
        mlp_ratio: hidden over outer width of the pixelwise networks, 0.25 to 8.
        scale: enlargement, 1 to 4.
        upsampler: one of ``UPSAMPLERS``; by default none at scale 1 and ``pixelshuffle`` above.
        img_range: the range in which the network works, 1 or, in the original's for JPEG, 255.

    Raises:
        ArchitectureError: a value of a wrong type or out of range, or some that do not fit together.

    Example:
        >>> SwinIRConfig(scale=2).upsampler
        'pixelshuffle'
    """

    width: int = 180
    depths: tuple[int, ...] = (6, 6, 6, 6, 6, 6)
    heads: tuple[int, ...] = (6, 6, 6, 6, 6, 6)
    window: int = 8
    mlp_ratio: float = 2.0
    scale: int = 1
    upsampler: str | None = None
    img_range: float = 1.0

    def __post_init__(self) -> None:
        options.check_integer("swinir", "width", self.width, 1, 1024)
        options.check_integer("swinir", "window", self.window, 2, 32)
        options.check_integer("swinir", "scale", self.scale, 1, 4)
        options.check_number("swinir", "mlp_ratio", self.mlp_ratio, 0.25, 8)
        options.check_number("swinir", "img_range", self.img_range, 1, 65535)
        for name, high in (("depths", 32), ("heads", 1024)):
            value = options.check_integers("swinir", name, getattr(self, name), 1, high, 16)
            object.__setattr__(self, name, value)
        if self.upsampler is None:
            object.__setattr__(self, "upsampler", "" if self.scale == 1 else "pixelshuffle")
        self._check_together()

    def _check_together(self) -> None:
        options.check_choice("swinir", "upsampler", self.upsampler, UPSAMPLERS)
        if (self.scale == 1) != (self.upsampler == ""):
            raise ArchitectureError(
                f"swinir: expected an upsampler above scale 1 and none ('') at scale 1, got "
                f"{self.upsampler!r} at scale {self.scale}"
            )
        if len(self.heads) != len(self.depths):
            raise ArchitectureError(
                f"swinir: expected as many heads as depths ({len(self.depths)}), got {len(self.heads)}"
            )
        if any(self.width % heads for heads in self.heads):
            raise ArchitectureError(
                f"swinir: width must be a multiple of all heads, got {self.width} and {list(self.heads)}"
            )


_LIGHT = {"width": 60, "depths": (6, 6, 6, 6), "heads": (6, 6, 6, 6)}

PRESETS: dict[str, dict[str, Any]] = {
    "denoise-m": {},
    "denoise-light": _LIGHT,
    **{f"sr{scale}-m": {"scale": scale} for scale in (2, 3, 4)},
    **{
        f"sr{scale}-light": {**_LIGHT, "scale": scale, "upsampler": "pixelshuffledirect"}
        for scale in (2, 3, 4)
    },
}
"""The published sizes, and the light one without its upsampler."""


class SwinIR(nn.Module):
    """The network; (B, 3, H, W) to (B, 3, scale*H, scale*W), any H and W from 1 px.

    Example:
        >>> config = SwinIRConfig(width=8, depths=[2], heads=[2], window=4, scale=2)
        >>> SwinIR(config)(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    mean: Tensor

    def __init__(self, config: SwinIRConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.alignment, self.scale, self.img_range = config.window, config.scale, float(config.img_range)
        self.register_buffer("mean", torch.tensor(_RGB_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.patch_embed = nn.ModuleDict({"norm": nn.LayerNorm(width)})
        self.layers = nn.ModuleList(
            ResidualGroup(width, depth, heads, config.window, config.mlp_ratio)
            for depth, heads in zip(config.depths, config.heads, strict=True)
        )
        self.norm = nn.LayerNorm(width)
        self.conv_after_body = nn.Conv2d(width, width, 3, padding=1)
        if config.upsampler == "pixelshuffle":
            before = nn.Conv2d(width, _RECONSTRUCTION_WIDTH, 3, padding=1)
            self.conv_before_upsample = nn.Sequential(before, nn.LeakyReLU())
            self.upsample = make_upsampler(_RECONSTRUCTION_WIDTH, config.scale)
            self.conv_last = nn.Conv2d(_RECONSTRUCTION_WIDTH, 3, 3, padding=1)
        elif config.upsampler == "pixelshuffledirect":
            conv = nn.Conv2d(width, 3 * config.scale**2, 3, padding=1)
            self.upsample = nn.Sequential(conv, nn.PixelShuffle(config.scale))
        else:
            self.conv_last = nn.Conv2d(width, 3, 3, padding=1)
        self._reconstruction = _last_layers(config.upsampler)
        self.apply(_init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """Restore x (B, 3, H, W), RGB in [0, 1]; the output is not clamped."""
        height, width = x.shape[-2:]
        x = (mirror_pad(x, self.alignment) - self.mean) * self.img_range
        shallow = self.conv_first(x)
        y = self.conv_after_body(self._deep(shallow)) + shallow
        for name in self._reconstruction:
            y = self.get_submodule(name)(y)
        if self.scale == 1:
            y = x + y
        result: Tensor = y / self.img_range + self.mean
        return crop(result, height * self.scale, width * self.scale)

    def _deep(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same, through all residual groups."""
        x = self.patch_embed["norm"](features.movedim(1, -1))
        kinds = window_kinds(x, self.alignment)
        for layer in self.layers:
            x = layer(x, kinds)
        deep: Tensor = self.norm(x).movedim(-1, 1)
        return deep


class ResidualGroup(nn.Module):
    """Attention layers, plain and shifted in turn, a convolution, and the input added.

    Example:
        >>> x = torch.rand(1, 8, 8, 6)
        >>> ResidualGroup(6, 2, 2, 4, 2.0)(x, window_kinds(x, 4)).shape
        torch.Size([1, 8, 8, 6])
    """

    def __init__(self, width: int, depth: int, heads: int, window: int, mlp_ratio: float) -> None:
        super().__init__()
        blocks = [
            AttentionBlock(width, heads, window, window // 2 if i % 2 else 0, mlp_ratio) for i in range(depth)
        ]
        self.residual_group = nn.ModuleDict({"blocks": nn.ModuleList(blocks)})
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, kinds: Tensor) -> Tensor:
        """(B, H, W, C) to the same, with the :func:`window_kinds` of x."""
        y = x
        for block in self.residual_group["blocks"].children():
            y = block(y, kinds)
        change: Tensor = self.conv(y.movedim(-1, 1)).movedim(1, -1)
        return x + change


def _last_layers(upsampler: str | None) -> list[str]:
    return {
        "pixelshuffle": ["conv_before_upsample", "upsample", "conv_last"],
        "pixelshuffledirect": ["upsample"],
    }.get(upsampler or "", ["conv_last"])


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def make_contract(config: SwinIRConfig) -> ImageContract:
    """Windows reach to their ends, and the shifted ones between carry on from there.

    Example:
        >>> make_contract(SwinIRConfig(width=8, depths=[2], heads=[2])).radius_px
        15
    """
    reached = count_radius(_receptive_steps(config), config.window)
    return ImageContract(scale=config.scale, alignment=config.window, radius_px=reached)


def _receptive_steps(config: SwinIRConfig) -> Iterator[Step]:
    # Above scale 1 the reconstruction sees two input pixels, and after the shuffle less than one more.
    after = {"": 1, "pixelshuffle": 3, "pixelshuffledirect": 1}[config.upsampler or ""]
    yield convolution_step(after + 1)  # and conv_after_body
    for depth in reversed(config.depths):
        yield convolution_step(1)
        for i in reversed(range(depth)):
            yield windows_step(config.window, config.window // 2 if i % 2 else 0)
    yield convolution_step(1)
