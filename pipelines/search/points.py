"""Points of a search space: how many there are, all of a grid, or drawn at random."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.core.errors import ConfigError
from pipelines.search.axes import Numbers, Value
from pipelines.search.space import DISTRIBUTION, Axis
from pipelines.search.trial_record import Point


def size(axes: Sequence[Axis]) -> float:
    """How many points there are; infinite with a range of real numbers."""
    titles = next((axis.domain.values for axis in axes if axis.name == DISTRIBUTION), ("",))
    return sum(_size(axes, {DISTRIBUTION: title}) for title in titles)


def _size(axes: Sequence[Axis], point: Point) -> float:
    """How many there are of one distribution."""
    applying = (axis for axis in axes if axis.name != DISTRIBUTION and axis.applies(point))
    return math.prod(axis.domain.size for axis in applying)


def grid(axes: Sequence[Axis]) -> list[Point]:
    """Every combination, the first axis slowest; a value on an axis only where that applies.

    Raises:
        ConfigError: an axis is a range, which has no end of values.
    """
    for axis in axes:
        if not axis.domain.values:
            raise ConfigError(
                f"search.algorithm grid: axis {axis.name} is a range; list its values, or choose random"
            )
    points: list[Point] = [{}]
    for axis in axes:
        points = list(itertools.chain.from_iterable(_with(point, axis) for point in points))
    return points


def _with(point: Point, axis: Axis) -> list[Point]:
    if not axis.applies(point):
        return [point]
    return [{**point, axis.name: value} for value in axis.domain.values]


def drawn(axes: Sequence[Axis], seed: int) -> Iterator[Point]:
    """Random points, each once: without end, or until a space of lists and whole numbers has no other.

    The same ones for the same seed, however many are taken.
    """
    count = size(axes)
    seen: set[frozenset[tuple[str, Value]]] = set()
    for index in itertools.count():
        if len(seen) == count:
            return
        point = _drawn(axes, np.random.default_rng([seed, index]))
        if frozenset(point.items()) not in seen:
            seen.add(frozenset(point.items()))
            yield point


def _drawn(axes: Sequence[Axis], random: np.random.Generator) -> Point:
    point: dict[str, Value] = {}
    for axis in axes:
        value = _draw(axis, random)  # also where it does not apply, so that axes do not shift others
        if axis.applies(point):
            point[axis.name] = value
    return point


def _draw(axis: Axis, random: np.random.Generator) -> Value:
    domain = axis.domain
    if domain.values or not isinstance(domain, Numbers):
        chosen: Value = domain.values[random.integers(len(domain.values))]
        return chosen
    low, high = domain.ends
    if isinstance(low, int) and isinstance(high, int):
        return _whole(low, high, domain.log, random)
    if domain.log:
        return float(np.exp(random.uniform(math.log(low), math.log(high))))
    return float(random.uniform(low, high))


def _whole(low: int, high: int, log: bool, random: np.random.Generator) -> int:
    if not log:
        return int(random.integers(low, high, endpoint=True))
    # Half a unit beyond the ends, so that these are as likely as their neighbours.
    drawn = np.exp(random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return min(max(round(float(drawn)), low), high)
