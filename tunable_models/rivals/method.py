"""What a rival method does to a network, and how it is trained."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tunable_models._conversion.selection import Pattern
from tunable_models.architectures.contract import ImageContract
from tunable_models.bases import Basis, Delta
from tunable_models.controls import ControlSpace


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a training, with an optimizer and a learning-rate schedule of its own.

    Attributes:
        share: of all steps, above 0.
        at: omega in all of its steps, a number for each control; None for omegas that are drawn.
        trained: what changes: the tensors of the ``source`` network, those that the method ``added``, or
            ``all``.
    """

    share: float = 1.0
    at: tuple[float, ...] | None = None
    trained: Literal["all", "source", "added"] = "all"


class ControlMethod(ABC):
    """A way to give a network sliders other than mixing all its kernels.

    A method puts layers into the source network, which read omega from a tensor ``condition`` of their own
    (:class:`ConditionedLayer`). That tensor is what is tunable about the network, by fixed kernels, so the
    rest of the package handles the network like any other: one omega a sample, views, folding, export.

    Attributes:
        include: the tensors that omega mixes.
        reach: pixels of the features by which what was put in widens the field of view.
    """

    include: tuple[Pattern, ...] = ("*.condition",)
    reach: int = 0

    @abstractmethod
    def check_space(self, space: ControlSpace) -> None:
        """Refuse sliders that the method cannot have.

        Raises:
            ConversionError: which ones it can.
        """

    @abstractmethod
    def adapt(self, network: nn.Module, space: ControlSpace) -> nn.Module:
        """The network with what the method puts in; the given one is changed.

        Raises:
            ConversionError: the method does not know where its layers go in this network.
        """

    def make_basis(self, space: ControlSpace) -> Basis:
        """How omega mixes what it mixes."""
        return Delta(space)

    @abstractmethod
    def phases(self, space: ControlSpace) -> tuple[Phase, ...]:
        """The parts of a training, in order; their shares sum to 1."""

    def is_added(self, name: str) -> bool:
        """Whether the method added a parameter, by its name in the adapted network."""
        return ".added." in f".{name}"

    def widen(self, contract: ImageContract) -> ImageContract:
        """The contract of the adapted network; a bound, as layers at lower resolutions reach further."""
        if contract.radius_px is None or not self.reach:
            return contract
        radius_px = contract.radius_px + self.reach * contract.alignment
        return ImageContract(
            channels=contract.channels,
            scale=contract.scale,
            multiple=contract.multiple,
            alignment=contract.alignment,
            radius_px=radius_px,
        )


class ConditionedLayer(nn.Module):
    """A layer of the source network and what a method adds to it.

    Attributes:
        layer: of the source.
        condition: omega (P,) at one setting.
    """

    def __init__(self, layer: nn.Module, space: ControlSpace) -> None:
        super().__init__()
        self.layer = layer
        self.condition = nn.Parameter(torch.zeros(len(space)), requires_grad=False)


def fix_conditions(network: nn.Module, space: ControlSpace, basis: Basis) -> None:
    """Set the kernels of every condition so that, mixed at omega, it is omega itself.

    Args:
        network: with kernels of that basis where it had conditions.
        space: of omega.
        basis: of the network; each of its coefficients is 1 and all others 0 at some vertex.
    """
    base, ends = _invert_basis(space, basis)
    for module in network.modules():
        if isinstance(module, ConditionedLayer):
            deltas = module._parameters["condition_deltas"]
            assert deltas is not None
            with torch.no_grad():
                module.condition.copy_(base)
                deltas.copy_(ends)


def _invert_basis(space: ControlSpace, basis: Basis) -> tuple[Tensor, Tensor]:
    """The vertex (P,) without deltas, and from there the way to that of each delta (J, P)."""
    # On the CPU even for networks on the meta device, where nothing could be compared.
    vertices = torch.tensor(space.vertices, device="cpu")
    coefficients = basis.weights(vertices)
    alone = torch.eye(coefficients.shape[1], device="cpu")
    base = vertices[(coefficients == 0).all(1)][0]
    return base, torch.stack([vertices[(coefficients == row).all(1)][0] for row in alone]) - base
