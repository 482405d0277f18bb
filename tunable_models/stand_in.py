"""Layers that stand for a convolution whose kernels differ between samples or pixels."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class StandIn(nn.Module):
    """Called like the layer it stands for, and answers like it, but has no one weight to show.

    Args:
        source: the layer.
        refusal: the error for whoever asks for the weight, or calls in a way that is not ``layer(x)``.
    """

    def __init__(self, source: nn.Module, refusal: Callable[[], Exception]) -> None:
        super().__init__()
        # In the dictionary: neither submodule nor settings of this one's own.
        self.__dict__.update(source=source, refusal=refusal)

    def __getattr__(self, name: str) -> Any:
        """Settings are the source's."""
        if name in ("weight", "bias"):
            raise self.__dict__["refusal"]()
        return getattr(self.__dict__["source"], name)


def has_hooks(module: nn.Module) -> bool:
    """Whether something listens to the layer, which a stand-in would not tell."""
    return any(module.__dict__.get(name) for name in _HOOKS)


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
