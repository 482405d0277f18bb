"""Attention within windows, plain or shifted by half a window.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021,
https://arxiv.org/abs/2103.14030.

Shapes: B images, (H, W) size, C channels, n windows of N = window**2 pixels, h heads.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn


class AttentionBlock(nn.Module):
    """Attention within windows, then a pixelwise network, each added to its input.

    Example:
        >>> x = torch.rand(1, 8, 8, 6)
        >>> AttentionBlock(6, 2, 4, 2, 2.0)(x, window_kinds(x, 4)).shape
        torch.Size([1, 8, 8, 6])
    """

    attn_mask: Tensor | None

    def __init__(self, width: int, heads: int, window: int, shift: int, mlp_ratio: float) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        hidden = int(width * mlp_ratio)
        layers = {"fc1": nn.Linear(width, hidden), "act": nn.GELU(), "fc2": nn.Linear(hidden, width)}
        self.mlp = nn.Sequential(OrderedDict[str, nn.Module](layers))
        self.register_buffer("attn_mask", shift_masks(window) if shift else None)

    def forward(self, x: Tensor, kinds: Tensor) -> Tensor:
        """(B, H, W, C) to the same, H and W multiples of the window."""
        x = x + self._attend(self.norm1(x), kinds)
        change: Tensor = self.mlp(self.norm2(x))
        return x + change

    def _attend(self, x: Tensor, kinds: Tensor) -> Tensor:
        if self.attn_mask is None:
            return _join_windows(self.attn(_split_windows(x, self.window), None), self.window, x.shape)
        shifted = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        attended = self.attn(_split_windows(shifted, self.window), self.attn_mask[kinds][:, None])
        return torch.roll(_join_windows(attended, self.window, x.shape), (self.shift, self.shift), (1, 2))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if self.attn_mask is not None:  # whatever size the file was trained at, these are its masks
            state_dict[f"{prefix}attn_mask"] = self.attn_mask
        super()._load_from_state_dict(state_dict, prefix, *rest)


class WindowAttention(nn.Module):
    """Multi-head self-attention of the N pixels of each window, with a learned bias by their offset.

    Example:
        >>> WindowAttention(6, 2, 4)(torch.rand(1, 9, 16, 6), None).shape
        torch.Size([1, 9, 16, 6])
    """

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _relative_offsets(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, n, N, C) to the same; mask (n, 1, N, N) is added to every head's scores."""
        each = self.qkv(x).reshape(*x.shape[:3], 3, self.heads, x.shape[3] // self.heads)
        query, key, value = each.permute(3, 0, 1, 4, 2, 5).unbind()
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1) + self._bias()
        if mask is not None:
            scores = scores + mask
        mixed: Tensor = self.proj((scores.softmax(-1) @ value).transpose(2, 3).flatten(3))
        return mixed

    def _bias(self) -> Tensor:
        """(h, N, N)."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


def shift_masks(window: int) -> Tensor:
    """What keeps pixels apart that only the cyclic shift by half a window brought together.

    Args:
        window: side in pixels.

    Returns:
        (4, N, N), 0 or -100: for windows inside, in the last column, in the last row, and in both.

    Example:
        >>> shift_masks(2)[:, 0]
        tensor([[   0.,    0.,    0.,    0.],
                [   0., -100.,    0., -100.],
                [   0.,    0., -100., -100.],
                [   0., -100., -100., -100.]])
    """
    place = torch.arange(2 * window)
    # 0 before the last window, 1 in its own half, 2 where it wrapped round
    region = (place >= window).long() + (place >= 2 * window - window // 2).long()
    regions = _split_windows((3 * region[:, None] + region)[None, :, :, None], window).squeeze(-1).squeeze(0)
    apart = regions[:, None, :] != regions[:, :, None]
    return torch.where(apart, -100.0, 0.0)


def window_kinds(x: Tensor, window: int) -> Tensor:
    """Which of the four :func:`shift_masks` each window of x (B, H, W, C) has; (n,).

    Example:
        >>> window_kinds(torch.rand(1, 4, 6, 1), 2)
        tensor([0, 0, 1, 2, 2, 3])
    """
    counts = [side // window for side in x.shape[1:3]]
    rows, columns = (torch.arange(count, device=x.device) == count - 1 for count in counts)
    return (2 * rows[:, None].long() + columns.long()).flatten()


def _split_windows(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) to (B, n, N, C)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // window, window, width // window, window, channels)
    return x.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)


def _join_windows(x: Tensor, window: int, shape: torch.Size) -> Tensor:
    """(B, n, N, C) to (B, H, W, C)."""
    batch, height, width, channels = shape
    x = x.reshape(batch, height // window, width // window, window, window, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(shape)


def _relative_offsets(window: int) -> Tensor:
    """(N, N): for every pair of pixels the row of the bias table for their offset."""
    place = torch.cartesian_prod(torch.arange(window), torch.arange(window))
    offset = place[:, None] - place[None, :] + window - 1
    return offset[..., 0] * (2 * window - 1) + offset[..., 1]
