"""Mixing: from a stack of kernels and coefficients to the tensors one call works with.

Shapes: K kernels, B samples, O and I output and input channels, G groups.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mix(stack: Tensor, coefficients: Tensor) -> Tensor:
    """The weighted sum of a stack of kernels.

    Computed in float32 at least and with autocast off: coefficients rounded to bfloat16 would move
    the slider. Cast to the stack's own dtype once, at the end.

    Args:
        stack: (K, ...).
        coefficients: (K,) or (B, K).

    Returns:
        (...) or (B, ...), dtype of the stack.
    """
    dtype = torch.promote_types(stack.dtype, torch.float32)
    with torch.autocast(stack.device.type, enabled=False):
        flat = coefficients.to(dtype) @ stack.flatten(1).to(dtype)
    return flat.to(stack.dtype).reshape(*coefficients.shape[:-1], *stack.shape[1:])


class PerSampleConv(nn.Module):
    """A convolution whose weight has a leading batch dimension, as one grouped convolution.

    Samples become groups: (B, I, ...) is viewed as (1, B*I, ...), and every group meets its own
    kernel (the published layer's form, https://arxiv.org/abs/2304.00898).
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.source: tuple[nn.Module] = (source,)  # in a tuple: not a submodule, only its settings

    def forward(self, x: Tensor, *options: object) -> Tensor:
        """Convolve sample b of x (B, I, ...) with kernel b."""
        conv = self.source[0]
        batch = self.weight.shape[0]
        if options or x.dim() != self.weight.dim() - 1 or x.shape[0] != batch:
            raise BatchMovedError
        spatial = x.dim() - 2
        x = _pad(conv, x)
        bias = None if self.bias is None else self.bias.flatten()
        y = _grouped(conv, x.reshape(1, -1, *x.shape[2:]), self.weight.flatten(0, 1), bias, batch, spatial)
        return y.reshape(batch, -1, *y.shape[2:])


class BatchMovedError(Exception):
    """Internal: a layer was not called as one (B, I, ...) input, so samples must run one omega at a time."""


def _pad(conv: Any, x: Tensor) -> Tensor:
    if conv.padding_mode == "zeros":
        return x
    return F.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode)


def _grouped(conv: Any, x: Tensor, weight: Tensor, bias: Tensor | None, batch: int, spatial: int) -> Tensor:
    groups = batch * conv.groups
    operator: Any
    options: tuple[Any, ...]
    if isinstance(conv, _TRANSPOSED):
        operator = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
        options = (conv.stride, conv.padding, conv.output_padding, groups, conv.dilation)
    else:
        operator = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
        padding = conv.padding if conv.padding_mode == "zeros" else 0
        options = (conv.stride, padding, conv.dilation, groups)
    output: Tensor = operator(x, weight, bias, *options)
    return output


_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
"""Layers whose input must carry the batch first, and that can run one kernel a sample in one call."""
