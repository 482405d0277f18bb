r"""One distance to the target that omega blends, :math:`\sum_i w_i(\omega)\, t_i`.

What controls *between targets* need: any distance to it is a live slider.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.losses.loss import check_names, check_value, move_modules, vertex_weights
from tunable_models.losses.terms import Term, refuse_unchanged
from tunable_models.objectives.objective import Objective


class BlendedLoss:
    """One distance to the target that omega blends.

    Args:
        space: of omega.
        objective: the distance.
        targets: names of the vertices' targets, in the order of ``space.vertices``.

    Raises:
        ConversionError: a wrong number of names, an objective without target, or a control that
            changes no target.

    Example:
        >>> from tunable_models import L1, ControlSpace
        >>> loss = BlendedLoss(ControlSpace.box("denoise"), L1(), ("input", "clean"))
        >>> noisy, clean = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
        >>> loss(clean, {"input": noisy, "clean": clean}, torch.tensor([[0.75]]))
        tensor([0.2500])
    """

    def __init__(self, space: ControlSpace, objective: Objective, targets: Sequence[str]) -> None:
        if isinstance(targets, str) or len(targets) != len(space.vertices):
            raise ConversionError(
                f"expected {len(space.vertices)} names of targets, one a vertex, got {targets!r}"
            )
        if not objective.needs_target:
            raise ConversionError(
                f"{type(objective).__name__} looks at no target, so there is nothing to blend; use MultiLoss"
            )
        refuse_unchanged(space, [(Term(objective=objective, target=name),) for name in targets])
        self.space = space
        self.objective = objective
        self.targets = tuple(targets)

    @property
    def target_names(self) -> frozenset[str]:
        """The names it looks up among the targets."""
        return frozenset(self.targets)

    def __call__(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> Tensor:
        """The loss of every sample.

        Args:
            output: (B, C, H, W).
            targets: by name, at least those of :attr:`target_names`, each (B, C, H, W).
            omega: (B, P).

        Returns:
            (B,).

        Raises:
            ConversionError: a target is missing, their shapes differ, omega is not (B, P), or the objective
                does not return (B,).
            TunableError: the shapes of output and targets differ.
        """
        check_names(self.target_names, targets)
        target = blend(self.space, [targets[name] for name in self.targets], omega)
        return check_value(self.objective, self.objective(output, target), len(output))

    def shares(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> dict[str, Tensor]:
        """The whole loss by the name of its objective; arguments as of a call."""
        return {type(self.objective).__name__: self(output, targets, omega)}

    def to(self, device: torch.device | str) -> Self:
        """Move the network inside the objective, such as a perceptual trunk; returns itself."""
        move_modules((self.objective,), device)
        return self


def blend(space: ControlSpace, targets: Sequence[Tensor], omega: Tensor) -> Tensor:
    """The target at omega: the sum of the vertices' targets, weighed by omega.

    Args:
        space: of omega.
        targets: V of (B, C, H, W), in the order of ``space.vertices``.
        omega: (B, P).

    Returns:
        (B, C, H, W).

    Raises:
        ConversionError: a wrong number of targets, shapes that differ, or omega that is not (B, P).

    Example:
        >>> from tunable_models import ControlSpace
        >>> targets = [torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)]
        >>> blend(ControlSpace.box("denoise"), targets, torch.tensor([[0.25]])).unique()
        tensor([0.2500])
    """
    shapes = [tuple(target.shape) for target in targets]
    if len(shapes) != len(space.vertices) or len(set(shapes)) != 1 or not shapes[0]:
        raise ConversionError(
            f"expected {len(space.vertices)} targets of one shape (B, C, H, W), one a vertex, got {shapes}"
        )
    weights = vertex_weights(space, omega, len(targets[0]))
    spread = (-1, *(1 for _ in shapes[0][1:]))
    parts = (weight.view(spread) * target for weight, target in zip(weights.unbind(1), targets, strict=True))
    return torch.stack(list(parts)).sum(0)
