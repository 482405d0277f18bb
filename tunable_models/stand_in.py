"""Layers that stand for a convolution whose kernels differ between samples or pixels."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F

from tunable_models import kernels

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class StandIn(nn.Module):
    """Called like the layer it stands for, of whose class it is too, with the same settings."""

    source: Any

    @classmethod
    def of(cls, source: nn.Module, shown: Mapping[str, Tensor], **own: Any) -> Self:
        """A stand-in.

        Args:
            source: the layer.
            shown: what is seen in the place of tensors that differ, by name.
            **own: attributes of the stand-in.
        """
        kinds: tuple[Any, Any] = cls, type(source)
        stand_in: Self = object.__new__(_kind(*kinds))
        # In the dictionary: what is the stand-in's own is no submodule.
        stand_in.__dict__.update(source.__dict__, source=source, **own)
        stand_in.__dict__["_parameters"] = kernels.replace(source._parameters, shown)
        return stand_in


@cache
def _kind(stand_in: type[nn.Module], layer: type[nn.Module]) -> Any:
    return type(layer.__name__, (stand_in, layer), {})


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
