"""One omega a sample: layers whose kernels have a leading batch dimension.

Samples become groups of one grouped convolution: (B, I, ...) is viewed as (1, B*I, ...), and every group
meets its own kernel (the published layer's form, https://arxiv.org/abs/2304.00898).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from tunable_models.kernels import CONVOLUTIONS

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class BatchMovedError(Exception):
    """Internal: a layer was not called as one (B, I, ...) input, so samples must run one omega at a time."""


def runs_per_sample(module: nn.Module, name: str) -> bool:
    """Whether this tensor of the module can differ between the samples of one call.

    A convolution's can, and a channel scale (1, C, 1, 1) of a convolutional network: it becomes
    (B, C, 1, 1), which broadcasts the same.
    """
    if type(module) in CONVOLUTIONS:
        return True
    tensor = module._parameters[name]
    return tensor is not None and is_channel_scale(tensor)


def is_channel_scale(tensor: Tensor) -> bool:
    """Whether a free parameter has the shape (1, C, 1, 1)."""
    return tensor.dim() == 4 and tensor.shape[0] == 1 and tensor.shape[2:] == (1, 1)


def bind_per_sample(
    module: nn.Module, mixed: Mapping[str, Tensor]
) -> tuple[nn.Module | None, dict[str, Any]]:
    """What stands for the module, and for its tensors, when kernels (B, ...) differ between samples.

    Returns:
        A module to use instead, or None to use a shell of this one; and the tensors to put there.
    """
    if type(module) in CONVOLUTIONS:
        return PerSampleConv(module), dict(mixed)
    return None, {name: tensor.squeeze(1) for name, tensor in mixed.items()}


class PerSampleConv(nn.Module):
    """A convolution whose weight has a leading batch dimension, as one grouped convolution."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.source: tuple[nn.Module] = (source,)  # in a tuple: not a submodule, only its settings

    def forward(self, x: Tensor, *options: object) -> Tensor:
        """Convolve sample b of x (B, I, ...) with kernel b."""
        conv: Any = self.source[0]
        batch = self.weight.shape[0]
        bias = self.bias
        # Excluded from conversion, a tensor is the same for all samples and has no batch dimension.
        weight = self.weight
        if weight.dim() == x.dim():
            weight = weight.expand(x.shape[0], *weight.shape)
            batch = x.shape[0]
        if bias is not None and bias.dim() == 1:
            bias = bias.expand(batch, -1)
        if options or x.dim() != weight.dim() - 1 or x.shape[0] != batch:
            raise BatchMovedError
        x = pad(conv, x)
        flat = None if bias is None else bias.flatten()
        y = convolve(conv, x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1), flat, batch * conv.groups)
        return y.reshape(batch, -1, *y.shape[2:])


def pad(conv: Any, x: Tensor) -> Tensor:
    """The input with the borders that a convolution of another padding mode than zeros puts around it."""
    if conv.padding_mode == "zeros":
        return x
    return F.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode)


def convolve(conv: Any, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """The operator of a convolution layer with other tensors; x as :func:`pad` gives it."""
    spatial = x.dim() - 3
    operator: Any
    options: tuple[Any, ...]
    if isinstance(conv, _TRANSPOSED):
        operator = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial]
        options = (conv.stride, conv.padding, conv.output_padding, groups, conv.dilation)
    else:
        operator = (F.conv1d, F.conv2d, F.conv3d)[spatial]
        padding = conv.padding if conv.padding_mode == "zeros" else 0
        options = (conv.stride, padding, conv.dilation, groups)
    output: Tensor = operator(x, weight, bias, *options)
    return output
