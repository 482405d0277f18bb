"""One omega a sample: layers whose kernels differ between the samples of a batch.

A convolution whose weight is tunable takes the cheapest of three ways:

* every sample's kernel is mixed first; then a 1x1 convolution is a batched matrix product, and any other one
  grouped convolution, (B, I, ...) seen as (1, B*I, ...) (the published layer's form,
  https://arxiv.org/abs/2304.00898);
* without gradients, large kernels are mixed and used one after the other, and never leave the cache;
* the base and the deltas are convolved with the batch, and every sample weighs the outputs. No kernel is
  mixed, which costs most where kernels are large and pictures small, and a delta of low rank stays two thin
  layers.

Shapes: B samples, I and O input and output channels, K kernels, J of them with a coefficient.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models._execution.kernels import CONVOLUTIONS, Kernels
from tunable_models._execution.mixing import Coefficients
from tunable_models._execution.proxy_layers import (
    TRANSPOSED,
    ProxyLayer,
    convolve,
    convolve_and_blend,
    has_hooks,
    pad_input,
)
from tunable_models._execution.proxy_tensors import ProxyTensor, is_channel_scale
from tunable_models._execution.rebind import Bound

_MIXED_VALUE, _CACHED_VALUE = 48, 16
"""Multiplications that take as long as mixing a value of a kernel and reading it, from memory and from cache.
Measured with NAFNet's layers on two CPU cores, and used on GPUs too, where they were not measured."""

_LARGE = 2**16
"""Values of a kernel from which a batch of them leaves the cache."""


class BatchMovedError(Exception):
    """Internal: something is not used as one layer on a batch, so samples must run one omega at a time."""


def runs_per_sample(module: nn.Module, kernels: Kernels) -> bool:
    """Whether a tensor of the module can differ between the samples of one call.

    A convolution's can, and a channel scale (1, C, 1, 1) of a convolutional network.
    """
    if type(module) in CONVOLUTIONS:
        return not has_hooks(module)
    return is_channel_scale(module, kernels.form)


def bind_per_sample(module: nn.Module, kernels: Mapping[str, Kernels], coefficients: Coefficients) -> Bound:
    """The module with tensors that differ between samples.

    Args:
        module: a convolution, or the owner of channel scales.
        kernels: of its tunable tensors, by name.
        coefficients: (B, J).
    """
    if type(module) in CONVOLUTIONS:
        shown = {name: ProxyTensor.of(kernel.form, _batch_moved) for name, kernel in kernels.items()}
        return PerSampleConv.of(module, shown, kernels=kernels, coefficients=coefficients)
    return {name: _proxy_scale(mix_per_sample(kernel, coefficients)) for name, kernel in kernels.items()}


def mix_per_sample(kernels: Kernels, coefficients: Coefficients) -> Tensor:
    """The mixed tensor of every sample, (B, *shape)."""
    with torch.autocast(kernels.identity.device.type, enabled=False):  # it would round the coefficients
        return kernels.at(coefficients)


def _batch_moved(_: str) -> BatchMovedError:
    return BatchMovedError()


def _proxy_scale(mixed: Tensor) -> ProxyTensor:
    """A scale (B, 1, C, 1, 1) that is (B, C, 1, 1) where it meets B pictures."""

    def become(picture: Tensor) -> Tensor:
        if picture.shape[0] != len(mixed):
            raise BatchMovedError
        return mixed.squeeze(1)

    return ProxyTensor.of(mixed[0], _batch_moved, become)


class PerSampleConv(ProxyLayer):
    """A convolution with one kernel a sample.

    Attributes:
        kernels: of its tunable tensors; the others are the same for all samples.
        coefficients: (B, J).
    """

    kernels: Mapping[str, Kernels]
    coefficients: Coefficients

    def forward(self, *inputs: Tensor, **options: object) -> Tensor:
        """Convolve sample b of x (B, I, ...) with kernel b."""
        conv, batch = self.source, len(self.coefficients.values)
        dimensions = 2 + len(conv.kernel_size)
        if len(inputs) != 1 or options or inputs[0].dim() != dimensions or len(inputs[0]) != batch:
            raise BatchMovedError
        x = pad_input(conv, inputs[0])
        if "weight" not in self.kernels:
            return self._convolve_grouped(x)
        kernels = self.kernels["weight"]
        large = kernels.form.numel() >= _LARGE and x.device.type == "cpu" and not torch.is_grad_enabled()
        if _blending_is_cheaper(conv, x, kernels, _CACHED_VALUE if large else _MIXED_VALUE):
            c = self.coefficients.values.reshape(batch, -1, *[1] * (x.dim() - 2))
            y, bias = convolve_and_blend(conv, x, kernels, c), self._of("bias")
            return y if bias is None else y + bias.to(y.dtype).reshape(*bias.shape, *[1] * (x.dim() - 2))
        if large:
            return self._convolve_one_by_one(x)
        if _is_pointwise(conv):
            return _multiply_channels(self._of("weight").flatten(2), x, self._of("bias"))
        return self._convolve_grouped(x)

    def _convolve_grouped(self, x: Tensor) -> Tensor:
        conv, batch = self.source, len(x)
        weight, bias = self._of("weight").flatten(0, 1), self._of("bias")
        bias = None if bias is None else bias.flatten()
        y = convolve(conv, x.reshape(1, -1, *x.shape[2:]), weight, bias, batch * conv.groups)
        return y.reshape(batch, -1, *y.shape[2:])

    def _convolve_one_by_one(self, x: Tensor) -> Tensor:
        conv, bias = self.source, self._of("bias")
        biases = [None] * len(x) if bias is None else bias
        rows = [Coefficients(row) for row in self.coefficients.values]
        weights = (mix_per_sample(self.kernels["weight"], row) for row in rows)
        each = [
            convolve(conv, sample, weight, shift, conv.groups)
            for sample, weight, shift in zip(torch.split(x, 1), weights, biases, strict=True)
        ]
        return torch.cat(each)

    def _of(self, name: str) -> Any:
        """The tensor (B, ...), whether it is tunable or not."""
        if name in self.kernels:
            return mix_per_sample(self.kernels[name], self.coefficients)
        plain = self.source._parameters[name]
        return None if plain is None else plain.expand(len(self.coefficients.values), *plain.shape)


def _blending_is_cheaper(conv: Any, x: Tensor, kernels: Kernels, mixed_value: int) -> bool:
    """Whether to weigh the outputs of all kernels instead of mixing a kernel for every sample.

    Counts the multiplications of both for one sample. Kernels of groups are small, and mixing them cheap.
    """
    if conv.groups > 1:
        return False
    places = x[0, 0].numel() / (1 if isinstance(conv, TRANSPOSED) else math.prod(conv.stride))
    if kernels.out is not None and kernels.inner is not None:
        deltas, terms = kernels.out.numel() + kernels.inner.numel(), len(kernels.out) * kernels.out.shape[-1]
    else:
        stack = kernels.stacked
        assert stack is not None
        terms = len(stack)
        plain = int(kernels.base is None)  # one of the kernels is what the plain layer computes
        deltas = (terms - plain) * kernels.form.numel()
    return places * deltas < kernels.form.numel() * (terms + mixed_value)


def _is_pointwise(conv: Any) -> bool:
    """Whether every output pixel depends on the input's pixel at its place alone, and on all channels."""
    ones = all(size == 1 for size in (*conv.kernel_size, *conv.stride))
    unpadded = conv.padding_mode != "zeros" or isinstance(conv.padding, str) or not any(conv.padding)
    return ones and unpadded and conv.groups == 1 and not isinstance(conv, TRANSPOSED)


def _multiply_channels(matrices: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply the channels of sample b of x (B, I, ...) by matrix b of (B, O, I), and add bias b."""
    flat = x.flatten(2)
    product = matrices @ flat if bias is None else torch.baddbmm(bias[..., None], matrices, flat)
    return product.reshape(*product.shape[:2], *x.shape[2:])
