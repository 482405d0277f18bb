r"""Losses that omega weighs.

:class:`MultiLoss` is the paper's parametric multi-loss,
:math:`L(\omega) = \sum_i w_i(\omega)\, \lambda_i\, L_i`, with one objective for every vertex of the
space (https://arxiv.org/abs/2304.00898). :class:`BlendedLoss` measures one distance to the blended target
:math:`\sum_i w_i(\omega)\, t_i`: what controls *between targets* need.

Shapes: B samples, V vertices; output (B, C, H, W), targets (B, V, C, H, W), omega (B, P).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class Term:
    """The objective of one vertex.

    Attributes:
        objective: the distance.
        target: index of its target among the targets given to the loss.
        scale: lambda, which brings objectives of different size to one scale.
    """

    objective: Objective
    target: int = 0
    scale: float = 1.0


class MultiLoss:
    """A weighted sum of objectives, weights from omega.

    Args:
        space: of omega.
        terms: one for each of ``space.vertices``, in that order.

    Raises:
        ConversionError: a wrong number of terms, or a dead combination: different targets
            under objectives whose best output does not move between the targets.
    """

    def __init__(self, space: ControlSpace, terms: Sequence[Term]) -> None:
        if len(terms) != len(space.vertices):
            raise ConversionError(f"expected {len(space.vertices)} terms, one a vertex, got {len(terms)}")
        _refuse_dead(terms)
        self.space = space
        self.terms = tuple(terms)

    def __call__(self, output: Tensor, targets: Tensor, omega: Tensor) -> Tensor:
        """The loss of every sample, (B,); targets (B, T, C, H, W) as the terms index them."""
        weights = self.space.vertex_weights(omega)
        parts = [term.scale * term.objective(output, targets[:, term.target]) for term in self.terms]
        return (weights * torch.stack(parts, dim=1)).sum(1)


class BlendedLoss:
    """One distance to the target that omega blends.

    Args:
        space: of omega; its vertices name the targets.
        objective: the distance.
    """

    def __init__(self, space: ControlSpace, objective: Objective) -> None:
        self.space = space
        self.objective = objective

    def __call__(self, output: Tensor, targets: Tensor, omega: Tensor) -> Tensor:
        """The loss of every sample, (B,); targets (B, V, C, H, W)."""
        return self.objective(output, blend(self.space, targets, omega))


def blend(space: ControlSpace, targets: Tensor, omega: Tensor) -> Tensor:
    """The target at omega: vertices' targets (B, V, C, H, W) weighed to (B, C, H, W)."""
    weights = space.vertex_weights(omega)
    if targets.shape[:2] != weights.shape:
        raise ConversionError(
            f"expected targets of shape {(*weights.shape, 'C', 'H', 'W')}, got {tuple(targets.shape)}"
        )
    return torch.einsum("bv,bvchw->bchw", weights, targets)


def _refuse_dead(terms: Sequence[Term]) -> None:
    for term in terms:
        elsewhere = any(other.target != term.target for other in terms)
        if elsewhere and not term.objective.blends_targets:
            raise ConversionError(
                f"{type(term.objective).__name__} beside another target makes a dead slider: the best output "
                "jumps at weight 0.5; use MSE, or BlendedLoss with this objective"
            )
