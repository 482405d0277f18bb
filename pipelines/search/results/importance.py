"""Importance of each axis for an objective, with a measure of how far to trust it.

Several axes: a random forest predicts a configuration's mean over seeds from its point. The importance of an
axis is the loss of accuracy when its values are permuted among the configurations that it applies to
(Breiman, "Random Forests", Machine Learning 45, 2001, https://doi.org/10.1023/A:1010933404324)::

    importance = (MSE(permuted) - MSE) / (2 Var(y)),        explained = R^2 = 1 - MSE / Var(y)

with the predictions of those trees that did not see the configuration (out of bag). The 2 makes it a share of
variance: permuting a term of a sum raises the squared error by twice the term's variance (Gregorutti, Michel
and Saint-Pierre, Statistics and Computing 27, 2017, https://doi.org/10.1007/s11222-016-9646-1). At R^2 of 0
or less the forest predicts no better than the mean, and its importances mean nothing. Seeds are averaged
first: a tree that saw one seed of a configuration would know the others.

One axis: the share of variance between configurations, the others being between seeds::

    importance = explained = eta^2 = sum_c n_c (mean_c - mean)^2 / sum_t (y_t - mean)^2

of k configurations and n trials; chance alone gives (k - 1) / (n - 1) on average (Kelley, "An Unbiased
Correlation Ratio Measure", PNAS 21, 1935, https://doi.org/10.1073/pnas.21.9.554), reported as ``chance``.

Both use completed trials only: pruned ones have no final score, so an axis whose bad values were all pruned
looks less important than it is.

The forest sees points as a matrix. A numeric axis is one column, NaN where it does not apply, which the trees
of scikit-learn handle as it is. Any other axis is one-hot, all 0 where it does not apply. An option such as
``dirichlet.alpha`` is permuted together with its parent axis, which has ``dirichlet`` among its values: a
Dirichlet distribution with the parameters of a Beta distribution is no point of the space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from pipelines.search.axes import Point
from pipelines.search.results.configurations import (
    Configuration,
    group_trials,
    list_axes,
    parent_axis,
    varying_axes,
)
from pipelines.search.trial import Objective, TrialRecord

LEAST_CONFIGURATIONS = 4
"""With fewer, a tree with one configuration out of its bag has only two to learn from."""
TREES, REPEATS = 300, 20

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much each axis matters.

    Attributes:
        method: ``forest``, ``eta2``, or ``none`` where nothing can be said.
        shares: importance of each varying axis as a share of the objective's variance; those of a forest need
            not sum to 1, and may fall below 0 by chance. Empty with ``none``.
        explained: share of variance that the method explains; None with ``none``.
        chance: what ``explained`` would be without any effect: the average for ``eta2``, about the most for a
            forest; None with ``none``.
        axes: those that vary.
        configurations: how many were used.
        trials: how many were used.
        note: a caveat in one sentence, or empty.
    """

    method: Literal["forest", "eta2", "none"]
    shares: dict[str, float]
    explained: float | None
    chance: float | None
    axes: tuple[str, ...]
    configurations: int
    trials: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Features:
    """N points as numbers.

    Attributes:
        matrix: (N, F).
        columns: of each varying axis, the columns that are permuted with it: its own and its children's.
        rows: of each varying axis, the points that it applies to.
    """

    matrix: Array
    columns: dict[str, list[int]]
    rows: dict[str, list[int]]


def measure_importance(records: Sequence[TrialRecord], objective: Objective) -> Importance:
    """How much each axis matters over the completed trials; deterministic."""
    groups = [c for c in group_trials(records) if c.values(objective.name)]
    points = [group.point for group in groups]
    axes = varying_axes(points, list_axes(records))
    samples = [group.values(objective.name) for group in groups]
    obstacle = _find_obstacle(groups, axes, samples)
    if obstacle:
        return _make_result("none", {}, None, None, axes, samples, obstacle)
    if len(axes) == 1 and any(len(values) > 1 for values in samples):
        return _compute_eta2(axes, samples)
    return _permute_forest(encode_points(points, list_axes(records)), axes, samples)


def importance_frame(found: Importance) -> pd.DataFrame:
    """One row per varying axis, the most important first; the other columns are equal in every row."""
    order = sorted(found.axes, key=lambda axis: -found.shares.get(axis, 0.0)) or [""]
    shares = pd.array([found.shares.get(axis) for axis in order], dtype="Float64")
    frame = pd.DataFrame({"axis": order, "importance": shares})
    for name in ("method", "explained", "chance", "configurations", "trials", "note"):
        frame[name] = getattr(found, name)
    return frame


def encode_points(points: Sequence[Point], axes: Sequence[str]) -> Features:
    """The points as a matrix, see above."""
    parents = {axis: parent_axis(axis, points, axes) for axis in axes}
    blocks = [_encode_axis(points, axis) for axis in axes]
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)]).tolist()
    own = {axis: list(range(ends[n], ends[n + 1])) for n, axis in enumerate(axes)}
    varying = varying_axes(points, axes)
    return Features(
        matrix=np.concatenate(blocks, axis=1) if blocks else np.zeros((len(points), 0)),
        columns={a: own[a] + [c for b in axes if parents[b] == a for c in own[b]] for a in varying},
        rows={a: [row for row, point in enumerate(points) if a in point] for a in varying},
    )


def _encode_axis(points: Sequence[Point], axis: str) -> Array:
    values = [point[axis] for point in points if axis in point]
    if all(isinstance(value, Real) for value in values):
        return np.array([[point.get(axis, np.nan)] for point in points], dtype=np.float64)
    kinds = list(dict.fromkeys(values))
    rows = [[float(axis in point and point[axis] == kind) for kind in kinds] for point in points]
    return np.array(rows, dtype=np.float64)


def _find_obstacle(
    groups: Sequence[Configuration], axes: Sequence[str], samples: Sequence[list[float]]
) -> str:
    if not axes:
        return f"{len(groups)} configurations completed, and no axis varies among them"
    if np.ptp(np.concatenate(samples)) == 0:
        return "every completed trial has the same value"
    repeated = any(len(values) > 1 for values in samples)
    if len(groups) < LEAST_CONFIGURATIONS and not (len(axes) == 1 and repeated):
        return f"{len(groups)} configurations completed; a forest needs {LEAST_CONFIGURATIONS} or more"
    return ""


def _compute_eta2(axes: tuple[str, ...], samples: Sequence[list[float]]) -> Importance:
    values = np.concatenate(samples)
    between = sum(len(s) * (np.mean(s) - values.mean()) ** 2 for s in samples)
    eta2 = float(between / ((values - values.mean()) ** 2).sum())
    chance = (len(samples) - 1) / (len(values) - 1)
    note = "" if eta2 > chance else "no more than chance: nothing can be said about this axis"
    return _make_result("eta2", {axes[0]: eta2}, eta2, chance, axes, samples, note)


def _permute_forest(inputs: Features, axes: tuple[str, ...], samples: Sequence[list[float]]) -> Importance:
    target = np.array([np.mean(values) for values in samples])
    if np.ptp(target) == 0:
        return _make_result("none", {}, None, None, axes, samples, "every configuration has the same mean")
    variants = [inputs.matrix, *(_permute_axis(inputs, axis, key) for axis in axes for key in range(REPEATS))]
    errors = ((_predict_out_of_bag(np.stack(variants), target) - target) ** 2).mean(axis=1) / target.var()
    rises = (errors[1:] - errors[0]).reshape(len(axes), REPEATS).mean(axis=1) / 2
    shares = {axis: float(rise) for axis, rise in zip(axes, rises, strict=True)}
    explained = float(1 - errors[0])
    note = "" if explained > 0 else "the forest predicts no better than the mean: its numbers mean nothing"
    return _make_result("forest", shares, explained, 0.0, axes, samples, note)


def _permute_axis(inputs: Features, axis: str, key: int) -> Array:
    """The matrix with an axis and its children permuted among the points that it applies to."""
    rows, columns = np.array(inputs.rows[axis]), np.array(inputs.columns[axis])
    matrix = inputs.matrix.copy()
    order = np.random.default_rng((key, len(rows))).permutation(rows)
    matrix[np.ix_(rows, columns)] = inputs.matrix[np.ix_(order, columns)]
    return matrix


def _predict_out_of_bag(variants: Array, target: Array) -> Array:
    """(V, N) predictions for V variants of N points, each by the trees that did not see the point.

    A point that every tree saw is predicted as the mean target.
    """
    forest = RandomForestRegressor(n_estimators=TREES, random_state=0).fit(variants[0], target)
    total, count = np.zeros(variants.shape[:2]), np.zeros(len(target))
    for tree, bag in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        out = np.setdiff1d(np.arange(len(target)), bag)
        if len(out):
            rows = variants[:, out].reshape(-1, variants.shape[2])
            total[:, out] += tree.predict(rows).reshape(len(variants), len(out))
            count[out] += 1
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), target.mean()))


def _make_result(
    method: Literal["forest", "eta2", "none"],
    shares: dict[str, float],
    explained: float | None,
    chance: float | None,
    axes: tuple[str, ...],
    samples: Sequence[list[float]],
    note: str,
) -> Importance:
    return Importance(
        method=method,
        shares=shares,
        explained=explained,
        chance=chance,
        axes=axes,
        configurations=len(samples),
        trials=sum(len(values) for values in samples),
        note=note,
    )
