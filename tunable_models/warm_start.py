"""Warm starts: a tunable network that begins as networks that exist already.

Specialists trained for single settings become the network's values at those settings. Between them a basis
that is linear in omega then starts as deep network interpolation (Wang et al., "Deep Network Interpolation
for Continuous Imagery Effect Transition", CVPR 2019, https://arxiv.org/abs/1811.10515): every tensor is the
weighted mean of the specialists'. As there, specialists must be fine-tuned from one another: networks that
were trained apart do not interpolate.

Shapes: V specialists, K kernels, n values of a tensor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tunable_models._conversion.selection import Pattern
from tunable_models._execution.kernels import Kernels
from tunable_models.bases import BasisName, make_basis
from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.loading import State, check_state
from tunable_models.network import TunableNetwork, make_tunable
from tunable_models.spec import Trained

Specialists = Mapping[tuple[float, ...], nn.Module | State]
"""By omega; at a vertex such as ``(1.0, 0.0)``, or anywhere else."""

NEGLIGIBLE = 1e-7
"""Singular values below this part of the largest are rounding, not content."""


@dataclass(frozen=True)
class WarmStart:
    """A network and how well it holds what it began from.

    Attributes:
        network: the tunable network.
        residual: over all tensors, distance of the network from the specialists over the specialists'
            distance from their mean: 0 is exact, 1 as far off as their mean for all. Where deltas are cut
            to a low rank it may be above 1: the base is kept exactly, and not moved towards the mean.
        residuals: the same for each tensor that differs between the specialists, by name.

    Example:
        >>> space = ControlSpace.box("denoise")
        >>> weak, strong = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        >>> start = from_specialists(weak, {(0.0,): weak, (1.0,): strong}, space, rank=1)
        >>> list(start.residuals), start.residual > 0.01  # rank 1 holds a part of the difference
        (['weight'], True)
    """

    network: TunableNetwork
    residual: float
    residuals: Mapping[str, float]


def from_specialists(
    source: nn.Module,
    specialists: Specialists,
    controls: ControlSpace | int,
    basis: BasisName = "delta",
    *,
    rank: int | None = None,
    train: Trained = "all",
    include: Sequence[Pattern] | None = ("*",),
    exclude: Sequence[Pattern] = (),
) -> WarmStart:
    """A tunable network that is each specialist at that specialist's omega.

    Exact at full rank wherever the basis can be: ``linear`` and ``delta`` at all vertices of a simplex,
    ``multilinear`` at all corners of a box, ``delta`` on a box at the base and one corner a control. More
    specialists than that are met by least squares; where there are fewer, the rest stays as near to the
    source as it can. At a low rank every delta is cut to its largest singular values.

    Args:
        source: the network whose class, and whose tensors where specialists say nothing, are used.
        specialists: networks like the source, or their ``state_dict``, by omega.
        controls: the control space, or a number of unnamed box controls.
        basis: as of :func:`make_tunable`; ``affine`` starts with its initial coefficients.
        rank: as of :func:`make_tunable`.
        train: as of :func:`make_tunable`.
        include: as of :func:`make_tunable`, but everything by default, norms too: specialists may differ
            in any tensor. Tensors that are not tunable get the specialists' mean.
        exclude: as of :func:`make_tunable`.

    Raises:
        ConversionError: no specialists, or one whose tensors are not the source's; or as
            :func:`make_tunable`.
        OmegaError: a key is no omega of the space.

    Example:
        >>> from tunable_models import ControlSpace
        >>> space = ControlSpace.box("denoise")
        >>> weak, strong = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        >>> start = from_specialists(weak, {(0.0,): weak, (1.0,): strong}, space)
        >>> x = torch.rand(1, 3, 4, 4)
        >>> torch.allclose(start.network(x, omega=torch.tensor([1.0])), strong(x), atol=1e-6)
        True
        >>> start.residual < 1e-6
        True
    """
    network = make_tunable(source, controls, basis, rank=rank, train=train, include=include, exclude=exclude)
    omegas = _check_omegas(network.space, specialists)
    states = [_check_specialist(source, specialist, omega) for omega, specialist in specialists.items()]
    coefficients = make_basis(basis, network.space)(omegas).detach()
    fit = _Fit(coefficients)
    with torch.no_grad():
        for name in network.tunable_names:
            path, _, leaf = name.rpartition(".")
            fit.tunable(name, network.kernels(path)[leaf], [state[name] for state in states])
        plain = network.network.state_dict(keep_vars=True)
        for name in source.state_dict():
            if name not in network.tunable_names:
                fit.fixed(name, plain[name], [state[name] for state in states])
    return WarmStart(network, fit.residual, fit.residuals)


class _Fit:
    """Kernels from specialists, and what they cannot hold.

    Args:
        coefficients: (V, K) of the specialists' omegas.
    """

    def __init__(self, coefficients: Tensor) -> None:
        self.coefficients = coefficients
        self._inverse = torch.linalg.pinv(coefficients.double())
        self._missed: dict[str, Tensor] = {}
        self._spread: dict[str, Tensor] = {}

    def tunable(self, name: str, kernels: Kernels, wanted: list[Tensor]) -> None:
        """Set the kernels of one tensor; what the specialists leave open stays near the source."""
        start = torch.stack(kernels.each()).double()
        targets = torch.stack(wanted).to(start)
        gap = targets - torch.tensordot(self.coefficients.to(start), start, 1)
        _write_kernels(kernels, start + torch.tensordot(self._inverse.to(start), gap, 1))
        held = torch.stack(kernels.each()).double()
        self._note(name, torch.tensordot(self.coefficients.to(held), held, 1), targets)

    def fixed(self, name: str, tensor: Tensor, wanted: list[Tensor]) -> None:
        """Set a tensor that is the same at every omega; integers, such as indices, stay the source's."""
        if not tensor.is_floating_point():
            return
        targets = torch.stack(wanted).double()
        tensor.copy_(targets.mean(0))
        self._note(name, tensor.expand_as(targets), targets)

    def _note(self, name: str, found: Tensor, targets: Tensor) -> None:
        self._missed[name] = (found - targets).square().sum()
        self._spread[name] = (targets - targets.mean(0)).square().sum()

    @property
    def residuals(self) -> dict[str, float]:
        """Of each tensor that differs between the specialists."""
        return {
            name: (missed / self._spread[name]).sqrt().item()
            for name, missed in self._missed.items()
            if self._spread[name] > 0
        }

    @property
    def residual(self) -> float:
        """Over all tensors."""
        missed, spread = (sum(part.values(), torch.zeros(())) for part in (self._missed, self._spread))
        return (missed / spread).sqrt().item() if spread > 0 else 0.0


def _write_kernels(kernels: Kernels, values: Tensor) -> None:
    """Set kernels to K full tensors, as nearly as their form can hold them."""
    if kernels.stack is not None:
        kernels.stack.copy_(values)
        return
    assert kernels.base is not None
    kernels.base.copy_(values[0])
    if kernels.deltas is not None:
        kernels.deltas.copy_(values[1:])
        return
    assert kernels.out is not None
    assert kernels.inner is not None
    rank = kernels.inner.shape[2]
    left, sizes, right = torch.linalg.svd(
        values[1:].reshape(*kernels.out.shape[:3], kernels.inner.shape[3]), full_matrices=False
    )
    left, sizes, right = left[..., :rank], sizes[..., :rank], right[..., :rank, :]
    # Where there is nothing to hold, the random factor stays: two zeros would never learn.
    empty = sizes <= NEGLIGIBLE * sizes.amax().clamp_min(torch.finfo(sizes.dtype).tiny)
    root = sizes.sqrt().masked_fill(empty, 0)
    kernels.out.copy_(left * root[..., None, :])
    kernels.inner.copy_(torch.where(empty[..., None], kernels.inner.to(right), root[..., None] * right))


def _check_omegas(space: ControlSpace, specialists: Specialists) -> Tensor:
    if not specialists:
        raise ConversionError("expected at least one specialist, got none")
    omegas = [torch.tensor(omega, dtype=torch.float32) for omega in specialists]
    for omega in omegas:
        space.check(omega)
    return torch.stack(omegas)


def _check_specialist(source: nn.Module, specialist: nn.Module | State, omega: tuple[float, ...]) -> State:
    state = specialist.state_dict() if isinstance(specialist, nn.Module) else specialist
    return check_state(source, state, f"the specialist at {omega}")
