"""Proxies for convolutions whose kernels differ between samples or pixels."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tunable_models._execution.kernels import Kernels, replace_kernels

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class ProxyLayer(nn.Module):
    """Replaces a layer in a call: an instance of the same class, with the same settings."""

    source: Any

    @classmethod
    def of(cls, source: nn.Module, shown: Mapping[str, Tensor], **own: Any) -> Self:
        """The proxy of a layer.

        Args:
            source: the layer.
            shown: what is seen in the place of tensors that differ, by name.
            **own: attributes of the proxy.
        """
        kinds: tuple[Any, Any] = cls, type(source)
        proxy: Self = object.__new__(_proxy_class(*kinds))
        # In the dictionary: the proxy's attributes are no submodules.
        proxy.__dict__.update(source.__dict__, source=source, **own)
        proxy.__dict__["_parameters"] = replace_kernels(source._parameters, shown)
        return proxy


@cache
def _proxy_class(proxy: type[nn.Module], layer: type[nn.Module]) -> Any:
    return type(layer.__name__, (proxy, layer), {})


def has_hooks(module: nn.Module) -> bool:
    """Whether the layer has hooks, which a proxy would not call."""
    return any(module.__dict__.get(name) for name in _HOOKS)


def pad_input(conv: Any, x: Tensor) -> Tensor:
    """The input with the borders that a convolution of another padding mode than zeros puts around it."""
    if conv.padding_mode == "zeros":
        return x
    return F.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode)


def convolve(conv: Any, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """The operator of a convolution layer with other tensors; x as :func:`pad_input` gives it."""
    spatial = x.dim() - 3
    operator: Any
    options: tuple[Any, ...]
    if isinstance(conv, TRANSPOSED):
        operator = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial]
        options = (conv.stride, conv.padding, conv.output_padding, groups, conv.dilation)
    else:
        operator = (F.conv1d, F.conv2d, F.conv3d)[spatial]
        padding = conv.padding if conv.padding_mode == "zeros" else 0
        options = (conv.stride, padding, conv.dilation, groups)
    output: Tensor = operator(x, weight, bias, *options)
    return output


def convolve_and_blend(conv: Any, x: Tensor, kernels: Kernels, c: Tensor) -> Tensor:
    """Weigh the outputs of a layer's kernels, which is exact: a convolution is linear in its kernel.

    Args:
        conv: the layer.
        x: (B, I, ...) as :func:`pad_input` gives it.
        kernels: of its weight.
        c: coefficients (B, J, ...) of all kernels but the base, with the output's sides or sides of 1.

    Returns:
        (B, O, ...), without the bias.
    """
    base = None if kernels.base is None else convolve(conv, x, kernels.base, None, conv.groups)
    if kernels.stacked is not None:
        return blend_outputs(
            [convolve(conv, x, kernel, None, conv.groups) for kernel in kernels.stacked], c, base
        )
    assert base is not None
    return base + _convolve_low_rank(conv, x, kernels, c).to(base.dtype)


def _convolve_low_rank(conv: Any, x: Tensor, kernels: Kernels, c: Tensor) -> Tensor:
    """The weighed sum of low-rank deltas' outputs, by way of J * r channels a group instead of kernels."""
    out, inner = kernels.out, kernels.inner
    assert out is not None
    assert inner is not None
    count, groups, rows, rank = out.shape
    form = kernels.form.shape
    narrow = inner.movedim(0, 1).reshape(groups * count * rank, *form[1:])
    pointwise = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
    ones = [1] * (x.dim() - 2)
    if isinstance(conv, TRANSPOSED):  # whose kernels have the input's channels first
        wide = out.permute(1, 0, 3, 2).reshape(groups * count * rank, rows, *ones)
        few = pointwise(x, wide, groups=groups)
        return convolve(conv, _weigh_channels(few, c, groups, rank), narrow, None, groups)
    wide = out.permute(1, 2, 0, 3).reshape(groups * rows, count * rank, *ones)
    few = convolve(conv, x, narrow, None, groups)
    return pointwise(_weigh_channels(few, c, groups, rank), wide, groups=groups)


def _weigh_channels(few: Tensor, c: Tensor, groups: int, rank: int) -> Tensor:
    """Channels (B, G * J * r, ...) times the coefficients (B, J, ...) of their deltas."""
    each = few.reshape(len(few), groups, c.shape[1], rank, *few.shape[2:])
    return (each * c[:, None, :, None]).reshape(few.shape).to(few.dtype)


def blend_outputs(parts: Sequence[Tensor], c: Tensor, base: Tensor | None = None) -> Tensor:
    """The sum of parts (B, O, ...), weighed by coefficients (B, J, ...), and the base.

    Computed in float32 at least, because rounded coefficients would move the slider.
    """
    c = c.to(torch.promote_types(parts[0].dtype, torch.float32))
    total = parts[0] * c[:, :1] if base is None else torch.addcmul(base.to(c.dtype), parts[0], c[:, :1])
    for j, part in enumerate(parts[1:], 1):
        total = torch.addcmul(total, part, c[:, j : j + 1])
    return total.to(parts[0].dtype)
