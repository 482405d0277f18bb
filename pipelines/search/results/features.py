"""Points of a search as a matrix of numbers for a forest, with the axes that belong together.

An axis of numbers is one column, NaN where it does not apply, which the trees of scikit-learn split on as it
is. Any other axis is one column for each of its values, 1 where it holds, all 0 where it does not apply.

``dirichlet.alpha`` belongs to the axis that has ``dirichlet`` among its values: it applies where that one
says so, and moves along with it, since a Dirichlet distribution with a Beta distribution's parameters is no
point of the space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from pipelines.search.trial_record import Point

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Features:
    """N points as numbers.

    Attributes:
        matrix: (N, F).
        columns: of each axis that varies, the columns that move with it: its own and those of the axes that
            belong to it.
        rows: of each axis that varies, the points that it applies to.
    """

    matrix: Matrix
    columns: dict[str, list[int]]
    rows: dict[str, list[int]]


def features(points: Sequence[Point], axes: Sequence[str]) -> Features:
    """The points as numbers."""
    parents = {axis: parent_of(axis, points, axes) for axis in axes}
    blocks: list[Matrix] = []
    own: dict[str, list[int]] = {}
    for axis in axes:
        block = _columns(points, axis)
        start = sum(earlier.shape[1] for earlier in blocks)
        own[axis] = list(range(start, start + block.shape[1]))
        blocks.append(block)
    varying = varying_axes(points, axes)
    return Features(
        matrix=np.concatenate(blocks, axis=1) if blocks else np.zeros((len(points), 0)),
        columns={a: own[a] + [c for b in axes if parents[b] == a for c in own[b]] for a in varying},
        rows={a: [row for row, point in enumerate(points) if a in point] for a in varying},
    )


def varying_axes(points: Sequence[Point], axes: Sequence[str]) -> tuple[str, ...]:
    """Axes with two values at least among the points that they apply to.

    An axis that some points lack, and nothing says when it applies, varies as well.
    """
    return tuple(axis for axis in axes if _varies(points, axis, axes))


def parent_of(axis: str, points: Sequence[Point], axes: Sequence[str]) -> str | None:
    """The axis that says when this one applies, by having the name before the last dot among its values."""
    family = axis.rpartition(".")[0]
    owners = (other for other in axes if family and any(point.get(other) == family for point in points))
    return next(owners, None)


def _varies(points: Sequence[Point], axis: str, axes: Sequence[str]) -> bool:
    values = {point[axis] for point in points if axis in point}
    lacking = any(axis not in point for point in points)
    return len(values) > 1 or (bool(values) and lacking and parent_of(axis, points, axes) is None)


def _columns(points: Sequence[Point], axis: str) -> Matrix:
    values = [point[axis] for point in points if axis in point]
    if all(isinstance(value, Real) for value in values):
        return np.array([[point.get(axis, np.nan)] for point in points], dtype=np.float64)
    kinds = list(dict.fromkeys(values))
    rows = [[float(axis in point and point[axis] == kind) for kind in kinds] for point in points]
    return np.array(rows, dtype=np.float64)
