"""Points that are trained: those that can be, and of several that would be the same run the first.

``{family: dirichlet}`` and ``{family: dirichlet, alpha: 0.5}`` are two points and one run, as 0.5 is the
default; they would share a folder, and one would be missing from the tables.
"""

import json
from collections.abc import Callable, Iterable, Iterator

from pipelines.core.errors import ConfigError
from pipelines.search.space import point_text
from pipelines.search.trial_record import Point
from pipelines.training.config import TrainConfig

ATTEMPTS = 50
"""So many points that cannot be trained, one after the other, are the end of a search."""

Trial = Callable[[Point], TrainConfig]
"""Section ``train`` at a point, all with the same seed; a ConfigError if the point cannot be trained."""


def all_of(points: Iterable[Point], trial: Trial) -> Iterator[Point]:
    """The points, each of which was asked for by name.

    Raises:
        ConfigError: one cannot be trained, or two would be the same run.
    """
    runs = _Runs(trial)
    for point in points:
        first = runs.first(point)
        if first is not None:
            raise ConfigError(f"{_twins(first, point)}; leave one of them out")
        yield point


def some_of(points: Iterable[Point], trial: Trial, tell: Callable[[str], None]) -> Iterator[Point]:
    """Those of the points that are trained; the same ones for the same points, however many are taken.

    Args:
        points: drawn, maybe without end.
        trial: section ``train`` at a point.
        tell: gets a sentence about each point that is passed over.

    Raises:
        ConfigError: one point after the other cannot be trained, or none at all can.
    """
    runs, refused = _Runs(trial), 0
    for point in points:
        try:
            first = runs.first(point)
        except ConfigError as error:
            refused += 1
            if refused == ATTEMPTS:
                raise too_many(error) from error
            tell(passed_over(error))
            continue
        refused = 0
        if first is None:
            yield point
        else:
            tell(passed_over(_twins(first, point)))
    if not runs:
        raise ConfigError(f"search.space: not one of its {refused} points can be trained; change the space")


def passed_over(why: object) -> str:
    """The sentence about a point that is not trained."""
    return f"passed over: {why}"


def too_many(last: ConfigError) -> ConfigError:
    """What ends a search that finds nothing to train."""
    return ConfigError(
        f"search.space: {ATTEMPTS} points in a row cannot be trained; narrow the space; the last one: {last}"
    )


class _Runs:
    """The runs of the points so far; false while there is none."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._points: dict[str, Point] = {}

    def __len__(self) -> int:
        return len(self._points)

    def first(self, point: Point) -> Point | None:
        """The earlier point that is the same run; None if there is none, and this one is remembered.

        Raises:
            ConfigError: the point cannot be trained.
        """
        run = json.dumps(self._trial(point).identity(), sort_keys=True)
        first = self._points.setdefault(run, point)
        return None if first is point else first


def _twins(first: Point, second: Point) -> str:
    return (
        f"search.space: the points {point_text(first)} and {point_text(second)} are the same run, with the "
        "same options of section train"
    )
