"""Bases: how omega blends a tensor's kernels.

A tunable tensor is a stack of K kernels of the source tensor's shape; a basis turns omega into K
coefficients, and the effective tensor is their weighted sum:

| basis | tensor at omega | |
|---|---|---|
| ``linear`` | sum over j of omega_j K_j | the paper's; on a simplex |
| ``affine`` | sum over j of (A omega + c)_j K_j | the released code's "mlp", A and c learned |
| ``delta`` | k_0 + sum over j of omega_j D_j | zero deltas are the source network |
| ``multilinear`` | k_0 + sum over S of D_S (product of omega_j, j in S) | every corner of a box its own |

Every basis starts as the source network at every omega. The first three obey
k(0,0) + k(1,1) = k(1,0) + k(0,1) on a box; only ``multilinear`` does not.
Source: https://arxiv.org/abs/2304.00898.
"""

from abc import ABC, abstractmethod
from itertools import combinations
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError

BasisName = Literal["linear", "affine", "delta", "multilinear"]
"""How omega blends a tensor's kernels; the table at the head of :mod:`tunable_models.bases` has the formulae.

Example:
    >>> for basis in ("delta", "multilinear"):
    ...     net = make_tunable(nn.Linear(4, 4, bias=False), ControlSpace.box("a", "b"), basis)
    ...     print(basis, sum(parameter.numel() for parameter in net.parameters()) // 16, "kernels")
    delta 3 kernels
    multilinear 4 kernels
"""
MAX_MULTILINEAR_CONTROLS = 4
"""The number of kernels doubles with each control."""


class Basis(nn.Module, ABC):
    """Coefficients of K kernels as a function of omega.

    Attributes:
        kernels: K.
        has_base: the first kernel counts fully at every omega, and the others start at zero;
            otherwise all kernels start equal and the coefficients sum to 1.
    """

    kernels: int
    has_base: bool

    @abstractmethod
    def forward(self, omega: Tensor) -> Tensor:
        """Coefficients (..., K) of omega (..., P)."""

    def weights(self, omega: Tensor) -> Tensor:
        """Coefficients (..., J) of the kernels that are not the base."""
        coefficients: Tensor = self(omega)
        return coefficients[..., 1:] if self.has_base else coefficients

    def initial(self, source: Tensor) -> Tensor:
        """The stack (K, *source.shape) that equals ``source`` at every omega."""
        stack = source.detach().expand(self.kernels, *source.shape).clone()
        if self.has_base:
            stack[1:] = 0
        return stack


class Linear(Basis):
    """Omega itself: one kernel a control, the paper's form."""

    has_base = False

    def __init__(self, space: ControlSpace) -> None:
        super().__init__()
        if space.kind == "box":
            raise ConversionError(
                "basis 'linear' is a zero network at omega = 0, so it needs a simplex; use 'delta' on a box"
            )
        self.kernels = len(space)

    def forward(self, omega: Tensor) -> Tensor:
        """Coefficients (..., P)."""
        return omega


class Affine(Basis):
    """A learned affine map of omega, one a layer: what the released code calls "mlp"."""

    has_base = False

    def __init__(self, space: ControlSpace) -> None:
        super().__init__()
        if len(space) < 2:
            raise ConversionError(
                "basis 'affine' needs two controls at least: one kernel can only be rescaled"
            )
        self.kernels = len(space)
        # Columns that sum to zero keep the coefficients' sum at 1 everywhere, so that equal kernels
        # start as the source; each kernel still gets its own share of the gradient.
        self.weight = nn.Parameter(torch.eye(self.kernels) - 1 / self.kernels)
        self.bias = nn.Parameter(torch.full((self.kernels,), 1 / self.kernels))

    def forward(self, omega: Tensor) -> Tensor:
        """Coefficients (..., P)."""
        return nn.functional.linear(omega, self.weight.to(omega.dtype), self.bias.to(omega.dtype))


class Delta(Basis):
    """A base and one delta a control; on a simplex the first control is the base."""

    has_base = True

    def __init__(self, space: ControlSpace) -> None:
        super().__init__()
        self.first = 1 if space.kind == "simplex" else 0
        self.kernels = 1 + len(space) - self.first

    def forward(self, omega: Tensor) -> Tensor:
        """Coefficients (..., K): 1, then omega."""
        return torch.cat([torch.ones_like(omega[..., :1]), omega[..., self.first :]], dim=-1)


class Multilinear(Basis):
    """A base and one delta for every non-empty subset of controls, weighed by the product of its omegas."""

    has_base = True

    def __init__(self, space: ControlSpace) -> None:
        super().__init__()
        count = len(space)
        if space.kind == "simplex":
            raise ConversionError("basis 'multilinear' is for a box; use 'delta' on a simplex")
        if count > MAX_MULTILINEAR_CONTROLS:
            raise ConversionError(
                f"basis 'multilinear' takes at most {MAX_MULTILINEAR_CONTROLS} controls, got {count}"
            )
        self.subsets = [s for size in range(1, count + 1) for s in combinations(range(count), size)]
        self.kernels = 1 + len(self.subsets)

    def forward(self, omega: Tensor) -> Tensor:
        """Coefficients (..., 2^P): 1, the omegas, then their products."""
        products = [omega[..., list(subset)].prod(dim=-1) for subset in self.subsets]
        return torch.stack([torch.ones_like(omega[..., 0]), *products], dim=-1)


BASES: dict[str, type[Linear | Affine | Delta | Multilinear]] = {
    "linear": Linear,
    "affine": Affine,
    "delta": Delta,
    "multilinear": Multilinear,
}


def make_basis(name: BasisName, space: ControlSpace) -> Basis:
    """The basis of that name on that space.

    Raises:
        ConversionError: an unknown name, or a basis that cannot work on this space.
    """
    if name not in BASES:
        raise ConversionError(f"expected a basis of {', '.join(get_args(BasisName))}, got {name!r}")
    return BASES[name](space)
