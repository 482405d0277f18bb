"""Where trials come from: points of a list or from Optuna, made into orders when Tune asks."""

from collections.abc import Callable, Iterator
from typing import Any

from ray.tune.search import Searcher

from pipelines.core.errors import ConfigError
from pipelines.search.order import Order
from pipelines.search.trainable import ATTEMPTS, passed_over, too_many
from pipelines.search.trial import FOLDER
from pipelines.search.trial_record import Point

Place = Callable[[Point, int], Order]
"""Makes the order of a point and a seed, and writes it down."""

SEED = "seed"


class Listed(Searcher):
    """Proposes points one by one, each with every seed.

    Args:
        points: maybe without end.
        seeds: of training.
    """

    def __init__(self, points: Iterator[Point], seeds: tuple[int, ...]) -> None:
        super().__init__()
        self._rest = ({**point, SEED: seed} for point in points for seed in seeds)

    def suggest(self, trial_id: str) -> Any:
        """The next one; the end is a word of Tune's."""
        return next(self._rest, Searcher.FINISHED)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing is learned."""


class Orders(Searcher):
    """Hands a searcher's proposals out as orders, of which Tune knows the folder alone.

    Args:
        searcher: proposes points.
        seed: of training, where a proposal has none.
        place: makes orders.
        tell: gets a sentence about a point that cannot be trained; the searcher learns that it failed.
    """

    def __init__(self, searcher: Searcher, seed: int, place: Place, tell: Callable[[str], None]) -> None:
        super().__init__(searcher.metric, searcher.mode)
        self._searcher, self._seed, self._place, self._tell = searcher, seed, place, tell
        self._names: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next order; None if there is none at the moment.

        Raises:
            ConfigError: one point after the other cannot be trained.
        """
        refused = 0
        while True:
            name = self._names[trial_id] = f"{trial_id}-{refused}"
            proposed: Any = self._searcher.suggest(name)
            if proposed is None or proposed == Searcher.FINISHED:
                return proposed
            point = dict(proposed)
            try:
                return {FOLDER: str(self._place(point, point.pop(SEED, self._seed)).folder)}
            except ConfigError as error:
                self._searcher.on_trial_complete(name, error=True)
                refused += 1
                if refused == ATTEMPTS:
                    raise too_many(error) from error
                self._tell(passed_over(error))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A score."""
        self._searcher.on_trial_result(self._names[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The end of a trial."""
        self._searcher.on_trial_complete(self._names[trial_id], result, error)

    def __getstate__(self) -> dict[str, Any]:
        """Empty: Tune pickles what it is given, for a way to go on that is not used here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a search goes on from the folders of its trials."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as nothing was saved."""
