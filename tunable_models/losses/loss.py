"""What every loss is, and the checks that all of them make."""

from collections.abc import Iterable, Mapping
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.objectives.objective import Objective


class Loss(Protocol):
    """What a training loop calls: :class:`MultiLoss`, :class:`BlendedLoss` and what wraps them.

    Example:
        >>> from tunable_models import MSE, BlendedLoss, ControlSpace
        >>> loss: Loss = BlendedLoss(ControlSpace.box("denoise"), MSE(), ("input", "clean"))
        >>> sorted(loss.target_names)
        ['clean', 'input']
    """

    @property
    def target_names(self) -> frozenset[str]:
        """The names it looks up among the targets."""
        ...

    def __call__(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> Tensor:
        """(B,) losses."""
        ...

    def shares(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> dict[str, Tensor]:
        """What each objective adds to the losses, (B,) by name."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """Move the networks inside its objectives; returns itself."""
        ...


def check_names(expected: Iterable[str], targets: Mapping[str, Tensor]) -> None:
    """Refuse targets among which a name is missing.

    Raises:
        ConversionError: with the names that are missing and those that came.
    """
    if not isinstance(targets, Mapping):
        raise ConversionError(f"expected targets by name, as a mapping, got {type(targets).__name__}")
    missing = sorted(set(expected) - set(targets))
    if missing:
        came = ", ".join(map(repr, targets)) or "none"
        raise ConversionError(
            f"expected target {', '.join(map(repr, missing))}, got {came}; add it to the targets"
        )


def vertex_weights(space: ControlSpace, omega: Tensor, batch: int) -> Tensor:
    """How much each vertex counts for each sample, (B, V).

    Raises:
        ConversionError: omega is not (B, P).
    """
    if omega.shape != (batch, len(space)):
        raise ConversionError(
            f"expected omega of shape ({batch}, {len(space)}), one row a sample, got {tuple(omega.shape)}"
        )
    return space.vertex_weights(omega)


def check_value(objective: Objective, value: Tensor, batch: int) -> Tensor:
    """The value of an objective, (B,).

    Raises:
        ConversionError: it has another shape.
    """
    if value.shape != (batch,):
        raise ConversionError(
            f"expected {type(objective).__name__} to return one number a sample, ({batch},), got shape "
            f"{tuple(value.shape)}; average over the other dimensions only"
        )
    return value


def move_modules(objectives: Iterable[object], device: torch.device | str) -> None:
    """Move those objectives that are modules."""
    for objective in objectives:
        if isinstance(objective, nn.Module):
            objective.to(device)
