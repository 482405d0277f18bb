"""A search: its options, what every trial starts from, and where its state lies."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.core.layout import Layout
from pipelines.core.trained import load_folder
from pipelines.search.config import SearchConfig
from pipelines.search.points import drawn, grid, size
from pipelines.search.scoring.measures import MEASURES, check_objectives
from pipelines.search.scoring.scorer import Scorer
from pipelines.search.space import Axis
from pipelines.search.trainable import all_of, some_of
from pipelines.search.trial_record import Objective, Point
from pipelines.tasks import make_task
from pipelines.training.config import ComputeConfig, TrainConfig


@dataclass(frozen=True)
class _Listed:
    """Points that are known beforehand, and a sentence about each that was passed over."""

    points: list[Point]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search of a work tree.

    Attributes:
        config: section ``search``.
        base: section ``train``, which points change.
        layout: of the work tree.
    """

    config: SearchConfig
    base: TrainConfig
    layout: Layout

    @property
    def folder(self) -> Path:
        """Of its state."""
        return self.layout.state / f"search-{self.config.name}"

    @property
    def compute(self) -> ComputeConfig:
        """Of every trial: in its own process, or with several workers of Ray Train."""
        workers = self.config.workers
        own = {"runner": "ray" if workers > 1 else "local", "workers": workers, "keep_checkpoints": 1}
        return self.base.compute.model_copy(update=own)

    @property
    def count(self) -> int | None:
        """How many trials there will be at most, every seed counted; None without an end.

        Raises:
            ConfigError: as for :meth:`points`.
        """
        if self._listed is not None:
            count: float = len(self._listed.points)
        elif self.config.algorithm == "random":
            count = size(self._axes)
        else:  # Optuna may propose a point again
            count = self.config.trials or math.inf
        return None if count == math.inf else int(count) * len(self.config.seeds)

    def objectives(self) -> list[Objective]:
        """What is optimised.

        Raises:
            ConfigError: a measure that the task does not have.
        """
        task = make_task(self.base.task, self.layout.root)
        check_objectives(self.config.objectives, task, self.config.measure)
        return [Objective(name=name, mode=MEASURES[name].mode) for name in self.config.objectives]

    @property
    def scorer(self) -> Scorer:
        """Of every trial."""
        return Scorer.of(self.base, self.config.measure, self.layout)

    def points(self, tell: Callable[[str], None]) -> Iterator[Point]:
        """Of a grid, or drawn: each can be trained, and no two are the same run. Optuna has its own.

        A search that goes on gets the same ones in the same order, and more for a larger budget.

        Args:
            tell: gets a sentence about each drawn point that is passed over.

        Raises:
            ConfigError: a point of a grid cannot be trained, or is the same run as another; so many drawn
                ones cannot be that nothing is found; or the space does not fit the task.
        """
        self.config.space.check(make_task(self.base.task, self.layout.root).space)
        if self._listed is None:
            return self._drawn(tell) if self.config.algorithm == "random" else iter(())
        for sentence in self._listed.notes:
            tell(sentence)
        return iter(self._listed.points)

    @cached_property
    def _listed(self) -> _Listed | None:
        """The points that are known before any is trained; None where there may be no end, and of Optuna."""
        config = self.config
        if config.algorithm == "grid":
            return _Listed([*all_of(grid(self._axes)[: config.trials], self._with_first_seed)], [])
        if config.algorithm == "random" and config.trials is not None:
            notes: list[str] = []
            return _Listed([*islice(self._drawn(notes.append), config.trials)], notes)
        return None

    def _drawn(self, tell: Callable[[str], None]) -> Iterator[Point]:
        return some_of(drawn(self._axes, self.config.seed), self._with_first_seed, tell)

    @property
    def _axes(self) -> list[Axis]:
        return list(self.config.space.axes())

    def _with_first_seed(self, point: Point) -> TrainConfig:
        return self.trial(point, self.config.seeds[0])

    def trial(self, point: Point, seed: int) -> TrainConfig:
        """Section ``train`` of one trial.

        Raises:
            ConfigError: the point cannot be trained.
        """
        return self.config.space.config(point, self.base, seed=seed, **self._own)

    @property
    def materials(self) -> dict[str, str]:
        """What trials and scores take from outside the options, and which that is.

        Raises:
            DataError: a file is missing or damaged.
        """
        root = self.layout.root
        task = make_task(self.base.task, root)
        specialists = {
            f"specialist {one.train}": load_folder(root / one.train)[1]["weights_sha256"]
            for one in self.config.measure.specialists
        }
        return {**task.materials, **self.base.network.materials(root), **specialists}

    @property
    def basis(self) -> dict[str, Any]:
        """What all trials share of section ``train``, and what stands for the rest, as JSON values.

        The best configuration may be put into the section, and this stays the same.
        """
        point = next(drawn(self._axes, 0))
        values = self.config.space.values(point, self.base, seed=0, **self._own)
        return {name: value for name, value in values.items() if name in self.base.identity()}

    @property
    def _own(self) -> dict[str, Any]:
        """What a search says of section ``train`` at every point."""
        every = self.config.report_every
        return {
            "steps": self.config.steps,
            "checkpoint_every": every,
            "log_every": math.gcd(every, self.base.log_every),
            "compute": self.compute.model_dump(mode="json"),
        }
