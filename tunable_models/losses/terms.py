"""Terms of a loss, and the check that their combination gives every slider an effect."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError
from tunable_models.objectives.objective import Objective


@dataclass(frozen=True, kw_only=True)
class Term:
    """One objective, what it is measured to, and how much it counts.

    Attributes:
        objective: what is made small.
        target: name of its target among those given to the loss; an objective without target ignores it.
        scale: lambda, which brings objectives of different size to one scale.

    Raises:
        ConversionError: a scale that is not positive and finite, or a target that is no name.

    Example:
        >>> from tunable_models import MSE
        >>> Term(objective=MSE(), target="input", scale=0.5)
        Term(objective=MSE(), target='input', scale=0.5)
    """

    objective: Objective
    target: str = "clean"
    scale: float = 1.0

    def __post_init__(self) -> None:
        given: object = self.target
        if not (isinstance(given, str) and given):
            raise ConversionError(f"expected a term's target by name, such as 'clean', got {given!r}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ConversionError(
                f"expected a positive, finite scale of {type(self.objective).__name__}, got {self.scale!r}; "
                "leave a term out to switch it off"
            )


def refuse_dead(space: ControlSpace, vertices: Sequence[Sequence[Term]]) -> None:
    """Refuse terms whose best output jumps between targets, or does not move at all.

    Terms that every vertex has do not depend on omega, so they may be combined.

    Args:
        space: of omega.
        vertices: the terms of each of its vertices.

    Raises:
        ConversionError: a dead combination; the message says what would live.
    """
    refuse_unchanged(space, vertices)
    shared = [term for term in vertices[0] if all(term in terms for terms in vertices)]
    for index, terms in enumerate(vertices):
        elsewhere = [other for j, others in enumerate(vertices) if j != index for other in others]
        for term in terms:
            for other in elsewhere:
                if _target_jumps(term, other) and not (term in shared and other in shared):
                    raise ConversionError(_explain_dead(term, other))


def refuse_unchanged(space: ControlSpace, vertices: Sequence[Sequence[Term]]) -> None:
    """Refuse an objective control that the best output does not answer to.

    A factor common to all terms makes a loss larger, and leaves its best output where it is. Condition
    controls describe the input; they need not change the loss.

    Raises:
        ConversionError: turning the control would change no more than such a factor.
    """
    _, scales = merge_equal(vertices)
    for index, control in enumerate(space.controls):
        if control.kind == "objective" and _only_scales_loss(space, scales, index):
            raise ConversionError(
                f"control {control.name!r} makes a dead slider: turning it changes neither objectives nor "
                "targets nor the ratio of their scales, so the best output stays where it is; give its "
                "vertices different terms, or make it a condition control"
            )


def merge_equal(vertices: Sequence[Sequence[Term]]) -> tuple[list[Term], list[list[float]]]:
    """Each objective and target once, so that vertices that share one measure it once; scales (V, parts)."""
    parts: list[Term] = []
    scales: list[list[float]] = []
    for terms in vertices:
        row = [0.0] * len(parts)
        for term in terms:
            part = Term(objective=term.objective, target=term.target)
            if part not in parts:
                parts.append(part)
                row.append(0.0)
            row[parts.index(part)] += term.scale
        scales.append(row)
    return parts, [row + [0.0] * (len(parts) - len(row)) for row in scales]


def _only_scales_loss(space: ControlSpace, scales: Sequence[Sequence[float]], index: int) -> bool:
    """Whether turning a control multiplies the whole loss by one factor, if it changes anything."""
    if all(_is_proportional(scales[0], row) for row in scales):
        return True
    if space.kind == "simplex":
        return False
    # One factor for all edges of the box: with two, the other controls' terms would count differently.
    ends = [
        [
            scale
            for corner, row in zip(space.vertices, scales, strict=True)
            if corner[index] == end
            for scale in row
        ]
        for end in (0, 1)
    ]
    return _is_proportional(*ends)


def _is_proportional(some: Sequence[float], others: Sequence[float]) -> bool:
    one, other = sum(some), sum(others)
    return all(math.isclose(a * other, b * one) for a, b in zip(some, others, strict=True))


def _target_jumps(term: Term, other: Term) -> bool:
    """Whether the best output under both jumps from the term's target when the other's weight grows."""
    both = term.objective.needs_target and other.objective.needs_target
    return both and other.target != term.target and not term.objective.blends_targets


def _explain_dead(term: Term, other: Term) -> str:
    name = type(term.objective).__name__
    return (
        f"{name} to {term.target!r} beside {type(other.objective).__name__} to {other.target!r} at another "
        f"vertex makes a dead slider: the best output jumps between the targets; use MSE, or {name} to one "
        "target that omega blends (BlendedLoss)"
    )
