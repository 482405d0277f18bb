r"""The parametric multi-loss.

:math:`L(\omega) = \sum_i w_i(\omega) \sum_k \lambda_{ik} L_{ik}`, with objectives for every vertex i of the
space (Maggioni et al., "Tunable Convolutions with Parametric Multi-Loss Optimization", CVPR 2023,
https://arxiv.org/abs/2304.00898).
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.losses.loss import check_names, check_value, move_modules, vertex_weights
from tunable_models.losses.terms import Term, merge_equal, refuse_dead


class MultiLoss:
    """A weighted sum of objectives, weights from omega.

    Args:
        space: of omega.
        terms: for each of ``space.vertices``, in that order, one term or several that are added.

    Raises:
        ConversionError: a wrong number of terms, or a dead combination: different targets
            under objectives whose best output does not move between the targets, or a control
            that changes nothing, or only by what factor all terms count.

    Example:
        >>> from tunable_models import L1, ControlSpace, TotalVariation
        >>> space = ControlSpace.box("smooth")
        >>> loss = MultiLoss(space, [Term(objective=L1()), Term(objective=TotalVariation(), scale=0.5)])
        >>> checks = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).expand(2, 3, 2, 2)
        >>> loss(checks, {"clean": torch.zeros(2, 3, 2, 2)}, torch.tensor([[0.0], [1.0]]))
        tensor([0.5000, 1.0000])
    """

    def __init__(self, space: ControlSpace, terms: Sequence[Term | Sequence[Term]]) -> None:
        if len(terms) != len(space.vertices):
            raise ConversionError(f"expected {len(space.vertices)} terms, one a vertex, got {len(terms)}")
        self.space = space
        self.terms = tuple((item,) if isinstance(item, Term) else tuple(item) for item in terms)
        for corner, vertex in zip(space.vertices, self.terms, strict=True):
            if not vertex:
                raise ConversionError(f"expected a term at every vertex, got none at omega = {corner}")
        refuse_dead(space, self.terms)
        self._parts, self._scales = merge_equal(self.terms)
        self._names = _name_parts(self._parts)

    @property
    def target_names(self) -> frozenset[str]:
        """The names it looks up among the targets."""
        return frozenset(part.target for part in self._parts if part.objective.needs_target)

    def __call__(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> Tensor:
        """The loss of every sample.

        Args:
            output: (B, C, H, W).
            targets: by name, at least those of :attr:`target_names`; each of the size its objective wants.
            omega: (B, P).

        Returns:
            (B,).

        Raises:
            ConversionError: a target is missing, omega is not (B, P), or an objective does not return (B,).
            TunableError: a target's shape is not what its objective compares with the output.
        """
        return self._weighed(output, targets, omega).sum(1)

    def shares(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> dict[str, Tensor]:
        """What each objective adds to the loss of every sample, (B,) by name; arguments as of a call.

        An objective is named by its class, with its target where several of a class differ in it, and
        with a number where that is not enough.
        """
        return dict(zip(self._names, self._weighed(output, targets, omega).unbind(1), strict=True))

    def _weighed(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> Tensor:
        """The objectives of every sample times their weights, (B, K)."""
        check_names(self.target_names, targets)
        weights = vertex_weights(self.space, omega, len(output))
        # Products and sums, not matrix products: autocast would round those.
        factors = (weights.unsqueeze(2) * weights.new_tensor(self._scales)).sum(1)
        values = torch.stack([_measure_part(part, output, targets) for part in self._parts], dim=1)
        return factors * values

    def to(self, device: torch.device | str) -> Self:
        """Move the networks inside the objectives, such as perceptual trunks; returns itself."""
        move_modules((part.objective for part in self._parts), device)
        return self


def _name_parts(parts: Sequence[Term]) -> list[str]:
    """A name of its own for every objective."""
    names = [type(part.objective).__name__ for part in parts]
    names = [
        f"{name}_{part.target}" if names.count(name) > 1 and part.objective.needs_target else name
        for name, part in zip(names, parts, strict=True)
    ]
    return [
        f"{name}_{names[: index + 1].count(name)}" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def _measure_part(part: Term, output: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    target = targets[part.target] if part.objective.needs_target else output
    return check_value(part.objective, part.objective(output, target), len(output))
