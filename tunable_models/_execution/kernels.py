"""The kernels of one tunable tensor: their parameters in the network, and their weighted sum.

Bases with a base keep the source's tensor under its own name, so that the tunable network's
``state_dict`` holds the source's keys and shapes, and add the deltas beside it:

==============================  =========================  ==================================
``weight``                      the source's shape         base of ``delta``, ``multilinear``
``weight``                      (K, *shape)                all kernels of ``linear``, ``affine``
``weight_deltas``               (J, *shape)                full-rank deltas, J = K - 1
``weight_deltas_out``, ``_in``  (J, G, R, r), (J, G, r, N)  low-rank deltas, ``out @ in`` a group
==============================  =========================  ==================================

Shapes: K kernels, J deltas, B samples; a low-rank tensor is seen as G groups of R x N matrices: output
channels of a group by input channels and kernel positions.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tunable_models._execution.mixing import Coefficients, weighted_sum
from tunable_models.bases import Basis
from tunable_models.errors import ConversionError

CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers whose weights come in groups."""

DELTAS, OUT, IN = "_deltas", "_deltas_out", "_deltas_in"
_NARROW = (torch.float16, torch.bfloat16)
SUFFIXES = ("", DELTAS, OUT, IN)


class Kernels(NamedTuple):
    """The kernels of one tensor; views of parameters, nothing of their own.

    Attributes:
        stack: (K, *shape) of a basis without a base.
        base: (*shape).
        deltas: (J, *shape).
        out: (J, G, R, r).
        inner: (J, G, r, N).
    """

    stack: Tensor | None = None
    base: Tensor | None = None
    deltas: Tensor | None = None
    out: Tensor | None = None
    inner: Tensor | None = None

    @property
    def identity(self) -> Tensor:
        """The tensor that equal kernels, and only they, have in common."""
        own = self.stack if self.stack is not None else self.base
        assert own is not None
        return own

    def mix_to(self, shape: torch.Size) -> bool:
        """Whether all that is mixed is there, and becomes a tensor of that shape."""
        if self.stack is not None:
            return self.stack.shape[1:] == shape
        has_deltas = self.deltas is not None or (self.out is not None and self.inner is not None)
        return self.base is not None and self.base.shape == shape and has_deltas

    @property
    def form(self) -> Tensor:
        """Shape, type and device of the mixed tensor."""
        return self.stack[0] if self.stack is not None else self.identity

    @property
    def stacked(self) -> Tensor | None:
        """What holds several kernels along its first dimension; None at low rank."""
        return self.stack if self.stack is not None else self.deltas

    def at(self, coefficients: Coefficients) -> Tensor:
        """The weighted sum of the kernels, differentiable; to be called with autocast off.

        Computed in float32 at least: coefficients rounded to bfloat16 would move the slider. Cast to the
        kernels' own dtype once, at the end.

        Args:
            coefficients: (J,) or (B, J) of the deltas, or (K,) or (B, K) where there is no base.

        Returns:
            (*shape) or (B, *shape).
        """
        own = self.identity.dtype
        if own not in _NARROW:  # hundreds of tensors a call: no cast that does nothing
            return self._mixed(coefficients)
        wide = Kernels(*(None if part is None else part.float() for part in self))
        return wide._mixed(coefficients).to(own)

    def _mixed(self, c: Coefficients) -> Tensor:
        if self.stack is not None:
            return weighted_sum(self.stack, c)
        assert self.base is not None
        if self.deltas is not None:
            return weighted_sum(self.deltas, c, self.base)
        assert self.out is not None
        assert self.inner is not None
        return _mix_low_rank(self.base, self.out, self.inner, c.values.to(self.base.dtype))

    def each(self) -> list[Tensor]:
        """The K kernels, (*shape) each: the base first if there is one."""
        if self.stack is not None:
            return list(self.stack)
        assert self.base is not None
        if self.deltas is not None:
            return [self.base, *self.deltas]
        assert self.out is not None
        assert self.inner is not None
        return [self.base, *(self.out @ self.inner).reshape(-1, *self.base.shape)]


def _mix_low_rank(base: Tensor, out: Tensor, inner: Tensor, c: Tensor) -> Tensor:
    """Base + sum_j c_j out_j in_j, as one product whose inner dimension is J * r."""
    groups, rows, width = inner.shape[1], out.shape[2], inner.shape[3]
    scaled = out * c[..., None, None, None]  # (..., J, G, R, r)
    left = scaled.movedim(-4, -2).flatten(-2)  # (..., G, R, J * r)
    right = inner.movedim(0, 1).flatten(1, 2)  # (G, J * r, N)
    matrix = base.reshape(groups, rows, width)
    product = torch.baddbmm(matrix, left, right) if c.dim() == 1 else matrix + left @ right
    return product.reshape(*c.shape[:-1], *base.shape)


def install_kernels(module: nn.Module, name: str, basis: Basis, rank: int | None, *, freeze: bool) -> None:
    """Put kernels in the place of one of a module's tensors; the network is the same at every omega.

    Args:
        module: owner of the tensor.
        name: of the tensor.
        basis: says how many kernels, and how they start.
        rank: of the deltas; None is full. Vectors, and tensors that would not shrink, stay full.
        freeze: the base is not trained.
    """
    source = module._parameters[name]
    assert source is not None
    for suffix in SUFFIXES[1:]:
        if hasattr(module, name + suffix):
            raise ConversionError(
                f"{type(module).__name__} has a {name + suffix!r} of its own; rename that first"
            )
    if not basis.has_base:
        module._parameters[name] = nn.Parameter(basis.initial(source), source.requires_grad)
        return
    base_trains, deltas_train = source.requires_grad and not freeze, source.requires_grad or freeze
    module._parameters[name] = nn.Parameter(source.detach().clone(), base_trains)
    count = basis.kernels - 1
    form = _matrix_shape(source, module.groups if isinstance(module, CONVOLUTIONS) else 1)
    if rank is None or not _saves_parameters(form, rank):
        zeros = source.new_zeros(count, *source.shape)
        module.register_parameter(name + DELTAS, nn.Parameter(zeros, deltas_train))
        return
    groups, rows, width = form
    # As in LoRA (https://arxiv.org/abs/2106.09685): one factor zero, so that the start is the source, the
    # other not, so that the first step moves the zero one and the second step both.
    inner = torch.empty(count, groups, rank, width, device=source.device).uniform_(-1, 1) / math.sqrt(width)
    module.register_parameter(
        name + OUT, nn.Parameter(source.new_zeros(count, groups, rows, rank), deltas_train)
    )
    module.register_parameter(name + IN, nn.Parameter(inner.to(source.dtype), deltas_train))


def tie_kernels(module: nn.Module, name: str, other: nn.Module, other_name: str) -> None:
    """Tie the kernels of one tensor to those of another, as the sources were tied."""
    for suffix in SUFFIXES:
        if other_name + suffix in other._parameters:
            module._parameters[name + suffix] = other._parameters[other_name + suffix]


def find_kernels(module: nn.Module, name: str, *, has_base: bool) -> Kernels:
    """The kernels that :func:`install_kernels` put there, or what is left of them."""
    tensors = module._parameters
    if not has_base:
        return Kernels(stack=tensors.get(name))
    return Kernels(
        base=tensors.get(name),
        deltas=tensors.get(name + DELTAS),
        out=tensors.get(name + OUT),
        inner=tensors.get(name + IN),
    )


def list_parameters(module: nn.Module, name: str) -> list[nn.Parameter]:
    """All parameters that the kernels of one tensor consist of."""
    found = [module._parameters.get(name + suffix) for suffix in SUFFIXES]
    return [parameter for parameter in found if parameter is not None]


def replace_kernels(tensors: Mapping[str, Any], mixed: Mapping[str, Any]) -> dict[str, Any]:
    """A module's parameters with mixed tensors, by name, in the place of their kernels."""
    deltas = {name + suffix for name in mixed for suffix in SUFFIXES[1:]}
    return {**{name: tensor for name, tensor in tensors.items() if name not in deltas}, **mixed}


def remove_kernels(module: nn.Module, name: str, plain: nn.Parameter) -> None:
    """Put a plain tensor in the place of kernels."""
    module._parameters[name] = plain
    for suffix in SUFFIXES[1:]:
        module._parameters.pop(name + suffix, None)


def _matrix_shape(source: Tensor, groups: int) -> tuple[int, int, int]:
    """Groups, rows and width of the tensor as matrices; a vector has width 1."""
    if source.dim() < 2:
        return 1, source.numel(), 1
    return groups, source.shape[0] // groups, source[0].numel()


def _saves_parameters(form: tuple[int, int, int], rank: int) -> bool:
    _, rows, width = form
    return rank * (rows + width) < rows * width
