"""Mixing: the weighted sum of kernels, which every call of a tunable network begins with.

It is bound by memory, not by arithmetic: for a network of 29 M parameters on two CPU cores, adding
with scalar factors takes half the time of a matrix product and a third of what autograd makes of a
chain of multiplications. The scalars are read from the coefficients once, which on a GPU would make
the CPU wait; there, and while a compiler traces, the product is used.

Shapes: J kernels beside an optional base, B samples.
"""

from typing import Any

import torch
from torch import Tensor


class Coefficients:
    """Coefficients of kernels, and the same as plain numbers where they can be read without waiting.

    Args:
        values: (J,) or (B, J); gradients flow to it.

    Attributes:
        floats: the values of (J,); None where there is a device, a compiler or a transform to wait for.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        at_hand = values.dim() == 1 and values.device.type == "cpu"
        readable = at_hand and not torch.compiler.is_compiling() and not _is_transformed(values)
        self.floats: list[float] | None = values.tolist() if readable else None


def weighted_sum(kernels: Tensor, c: Coefficients, base: Tensor | None = None) -> Tensor:
    """Sum over j of c_j kernels_j, plus the base.

    Args:
        kernels: (J, ...), floating point of at least 32 bits.
        c: (J,) or (B, J), same type.
        base: (...), same type.

    Returns:
        (...) or (B, ...).
    """
    if c.floats is not None and kernels.is_floating_point() and not _is_transformed(kernels, base):
        if torch.is_grad_enabled():
            return _WeightedSum.apply(kernels, base, c.values, c.floats)  # type: ignore[no-any-return]
        return _add_up(kernels, base, c.floats)
    shape = (*c.values.shape[:-1], *kernels.shape[1:])
    values, rows = c.values.to(kernels.dtype), _as_rows(kernels)
    if base is None:
        return (values @ rows).reshape(shape)
    if values.dim() == 1:
        return torch.addmv(base.flatten(), rows.t(), values).reshape(shape)
    return torch.addmm(base.flatten().unsqueeze(0), values, rows).reshape(shape)


def _as_rows(kernels: Tensor) -> Tensor:
    """Kernels as a matrix (J, n); those of a tensor without dimensions, (J,), have one value each."""
    return kernels.reshape(len(kernels), -1)


def _is_transformed(*tensors: Tensor | None) -> bool:
    """Whether torch.func transforms the call: it needs operators that it supports."""
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    return any(tensor is not None and wrapped(tensor) for tensor in tensors)


def _add_up(kernels: Tensor, base: Tensor | None, floats: list[float]) -> Tensor:
    parts = kernels.unbind(0)
    total = parts[0] * floats[0] if base is None else torch.add(base, parts[0], alpha=floats[0])
    for part, factor in zip(parts[1:], floats[1:], strict=True):
        total.add_(part, alpha=factor)
    return total


class _WeightedSum(torch.autograd.Function):
    """The sum with a backward pass that copies nothing: autograd's own would keep every partial sum."""

    @staticmethod
    def forward(kernels: Tensor, base: Tensor | None, values: Tensor, floats: list[float]) -> Tensor:
        return _add_up(kernels, base, floats)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        kernels, _, values, _ = inputs
        ctx.save_for_backward(kernels, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (gradient,) = gradients
        kernels, values = ctx.saved_tensors
        of_kernels, of_base, of_values, _ = ctx.needs_input_grad
        return (
            _kernel_gradients(gradient, values) if of_kernels else None,
            gradient if of_base else None,
            (_as_rows(kernels) @ gradient.flatten()).to(values.dtype) if of_values else None,
            None,
        )


def _kernel_gradients(gradient: Tensor, values: Tensor) -> Tensor:
    """The gradient of every kernel, in the gradient's own memory layout."""
    values = values.to(gradient.dtype)
    if gradient.is_contiguous():  # the faster operator
        return torch.outer(values, gradient.flatten()).view(-1, *gradient.shape)
    return values.view(-1, *[1] * gradient.dim()) * gradient
