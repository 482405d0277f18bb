"""Candidate points of a search space: a grid or random draws, without those that cannot be trained.

Two points may be one run: ``{family: dirichlet}`` and ``{family: dirichlet, alpha: 0.5}``, as 0.5 is the
default. They would share a folder, and one would be missing from the tables, so only the first is trained.
"""

import itertools
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from pipelines.core.errors import ConfigError
from pipelines.search.axes import DISTRIBUTION, Axis, Numbers, Point, Value, format_point
from pipelines.training.config import TrainConfig

ATTEMPTS = 50
"""After so many untrainable points in a row, a search gives up."""

MakeConfig = Callable[[Point], TrainConfig]
"""Section ``train`` at a point, with the same seed for all; raises ConfigError for an untrainable point."""

_log = logging.getLogger(__name__)


def count_points(axes: Sequence[Axis]) -> float:
    """How many points a space has; infinite with a range of real numbers."""
    titles = next((axis.domain.values for axis in axes if axis.name == DISTRIBUTION), ("",))
    points: list[Point] = [{DISTRIBUTION: title} for title in titles]
    return sum(
        math.prod(axis.domain.size for axis in axes if axis.name != DISTRIBUTION and axis.applies_to(point))
        for point in points
    )


def make_grid(axes: Sequence[Axis]) -> list[Point]:
    """Every combination of values, the first axis slowest.

    Raises:
        ConfigError: an axis is a range.
    """
    points: list[Point] = [{}]
    for axis in axes:
        if not axis.domain.values:
            raise ConfigError(
                f"search.algorithm grid: axis {axis.name} is a range; list its values, or choose random"
            )
        points = [extended for point in points for extended in _extend_point(point, axis)]
    return points


def _extend_point(point: Point, axis: Axis) -> list[Point]:
    if not axis.applies_to(point):
        return [point]
    return [{**point, axis.name: value} for value in axis.domain.values]


def draw_points(axes: Sequence[Axis], seed: int) -> Iterator[Point]:
    """Distinct random points: endless, or until a space of lists and whole numbers is exhausted.

    The sequence depends on the seed alone, not on how many points are taken.
    """
    count = count_points(axes)
    seen: set[frozenset[tuple[str, Value]]] = set()
    for index in itertools.count():
        if len(seen) == count:
            return
        random = np.random.default_rng([seed, index])
        point: dict[str, Value] = {}
        for axis in axes:
            value = _draw_value(axis, random)  # even where it does not apply, to keep other axes' draws
            if axis.applies_to(point):
                point[axis.name] = value
        if frozenset(point.items()) not in seen:
            seen.add(frozenset(point.items()))
            yield point


def require_trainable(points: Iterable[Point], make_config: MakeConfig) -> Iterator[Point]:
    """The points, each of which was explicitly requested.

    Raises:
        ConfigError: a point cannot be trained, or is the same run as another.
    """
    seen: dict[str, Point] = {}
    for point in points:
        if duplicate := _find_duplicate(seen, point, make_config):
            raise ConfigError(f"{duplicate}; remove one of them")
        yield point


def skip_untrainable(points: Iterable[Point], make_config: MakeConfig) -> Iterator[Point]:
    """The points that can be trained, without duplicate runs; each skipped one is logged.

    Raises:
        ConfigError: too many points in a row, or all of them, cannot be trained.
    """
    seen: dict[str, Point] = {}
    refused = 0
    for point in points:
        try:
            duplicate = _find_duplicate(seen, point, make_config)
        except ConfigError as error:
            refused += 1
            log_skipped(error, refused)
            continue
        refused = 0
        if duplicate:
            _log.warning("skipped: %s", duplicate)
        else:
            yield point
    if not seen:
        raise ConfigError(f"search.space: none of its {refused} points can be trained; change the space")


def log_skipped(error: ConfigError, refused: int) -> None:
    """Log an untrainable point.

    Args:
        error: why it cannot be trained.
        refused: how many points in a row could not, this one included.

    Raises:
        ConfigError: that was the last attempt.
    """
    if refused >= ATTEMPTS:
        raise ConfigError(
            f"search.space: {refused} points in a row cannot be trained; narrow the space; "
            f"the last one: {error}"
        ) from error
    _log.warning("skipped: %s", error)


def _find_duplicate(seen: dict[str, Point], point: Point, make_config: MakeConfig) -> str:
    """A sentence about the earlier point that is the same run; empty if there is none."""
    run = json.dumps(make_config(point).identity(), sort_keys=True)
    first = seen.setdefault(run, point)
    if first is point:
        return ""
    return f"search.space: the points {format_point(first)} and {format_point(point)} are the same run"


def _draw_value(axis: Axis, random: np.random.Generator) -> Value:
    domain = axis.domain
    if domain.values or not isinstance(domain, Numbers):
        chosen: Value = domain.values[random.integers(len(domain.values))]
        return chosen
    low, high = domain.ends
    if isinstance(low, int) and isinstance(high, int):
        return _draw_integer(low, high, domain.log, random)
    if domain.log:
        return float(np.exp(random.uniform(math.log(low), math.log(high))))
    return float(random.uniform(low, high))


def _draw_integer(low: int, high: int, log: bool, random: np.random.Generator) -> int:
    if not log:
        return int(random.integers(low, high, endpoint=True))
    # Half a unit beyond the ends, so that they are as likely as their neighbors.
    drawn = np.exp(random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return min(max(round(float(drawn)), low), high)
