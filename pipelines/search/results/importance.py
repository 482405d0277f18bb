"""How much each axis matters for an objective, with a number beside it that says how far to believe it.

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
Correlation Ratio Measure", PNAS 21, 1935, https://doi.org/10.1073/pnas.21.9.554), which stands beside.

Both look at completed trials: what was pruned has no final score, so an axis whose bad values were all pruned
looks less important than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from pipelines.search.results.configurations import Configuration, axes_of, configurations
from pipelines.search.results.features import Features, features, varying_axes
from pipelines.search.trial_record import Objective, TrialRecord

LEAST_CONFIGURATIONS = 4
"""With fewer, a tree out of whose bag one falls has two to learn from."""
TREES, REPEATS = 300, 20

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much each axis matters.

    Attributes:
        method: ``forest``, ``eta2``, or ``none`` where nothing can be said.
        shares: of each axis that varies, its importance as a share of the objective's variance; shares of a
            forest need not sum to 1, and fall below 0 by chance. Empty with ``none``.
        explained: share of variance that the method explains; None with ``none``.
        chance: what explained would be without any effect, with ``eta2`` on average, with a forest at most
            but for luck; None with ``none``.
        axes: those that vary.
        configurations: how many went in.
        trials: how many went in.
        note: what a reader must know, in a sentence, or empty.
    """

    method: Literal["forest", "eta2", "none"]
    shares: dict[str, float]
    explained: float | None
    chance: float | None
    axes: tuple[str, ...]
    configurations: int
    trials: int
    note: str = ""


def importance(records: Sequence[TrialRecord], objective: Objective) -> Importance:
    """How much each axis matters, over the completed trials; the same for the same trials."""
    groups = [c for c in configurations(records) if c.values(objective.name)]
    points = [group.point for group in groups]
    axes = varying_axes(points, axes_of(records))
    samples = [group.values(objective.name) for group in groups]
    fault = _fault(groups, axes, samples)
    if fault:
        return _result("none", {}, None, None, axes, samples, fault)
    if len(axes) == 1 and any(len(values) > 1 for values in samples):
        return _eta2(axes, samples)
    return _forest(features(points, axes_of(records)), axes, samples)


def importance_frame(found: Importance) -> pd.DataFrame:
    """One row an axis that varies, the most important first; the other columns are the same in every row."""
    order = sorted(found.axes, key=lambda axis: -found.shares.get(axis, 0.0)) or [""]
    shares = pd.array([found.shares.get(axis) for axis in order], dtype="Float64")
    frame = pd.DataFrame({"axis": order, "importance": shares})
    for name in ("method", "explained", "chance", "configurations", "trials", "note"):
        frame[name] = getattr(found, name)
    return frame


def _fault(groups: Sequence[Configuration], axes: Sequence[str], samples: Sequence[list[float]]) -> str:
    if not axes:
        return f"{len(groups)} configurations completed, and no axis varies among them"
    if np.ptp(np.concatenate(samples)) == 0:
        return "every completed trial has the same value"
    repeated = any(len(values) > 1 for values in samples)
    if len(groups) < LEAST_CONFIGURATIONS and not (len(axes) == 1 and repeated):
        return f"{len(groups)} configurations completed; a forest needs {LEAST_CONFIGURATIONS} or more"
    return ""


def _eta2(axes: tuple[str, ...], samples: Sequence[list[float]]) -> Importance:
    values = np.concatenate(samples)
    between = sum(len(s) * (np.mean(s) - values.mean()) ** 2 for s in samples)
    eta2 = float(between / ((values - values.mean()) ** 2).sum())
    chance = (len(samples) - 1) / (len(values) - 1)
    note = "" if eta2 > chance else "no more than chance gives: nothing is known of this axis"
    return _result("eta2", {axes[0]: eta2}, eta2, chance, axes, samples, note)


def _forest(inputs: Features, axes: tuple[str, ...], samples: Sequence[list[float]]) -> Importance:
    target = np.array([np.mean(values) for values in samples])
    if np.ptp(target) == 0:
        return _result("none", {}, None, None, axes, samples, "every configuration has the same mean")
    variants = [inputs.matrix, *(_permuted(inputs, axis, key) for axis in axes for key in range(REPEATS))]
    errors = ((_out_of_bag(np.stack(variants), target) - target) ** 2).mean(axis=1) / target.var()
    rises = (errors[1:] - errors[0]).reshape(len(axes), REPEATS).mean(axis=1) / 2
    shares = {axis: float(rise) for axis, rise in zip(axes, rises, strict=True)}
    explained = float(1 - errors[0])
    note = "" if explained > 0 else "the forest predicts no better than the mean: its numbers mean nothing"
    return _result("forest", shares, explained, 0.0, axes, samples, note)


def _permuted(inputs: Features, axis: str, key: int) -> Vector:
    """The matrix with the axis, and what belongs to it, permuted among the points that it applies to."""
    rows, columns = np.array(inputs.rows[axis]), np.array(inputs.columns[axis])
    matrix = inputs.matrix.copy()
    order = np.random.default_rng((key, len(rows))).permutation(rows)
    matrix[np.ix_(rows, columns)] = inputs.matrix[np.ix_(order, columns)]
    return matrix


def _out_of_bag(variants: Vector, target: Vector) -> Vector:
    """(V, N) predictions for V variants of N points, each by the trees that did not see the point.

    Where no tree missed a point, its prediction is the mean of the others.
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


def _result(
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
