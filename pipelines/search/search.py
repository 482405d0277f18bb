"""A search: its options, what every trial starts from, its candidate points, and where its state is kept."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.core.layout import Layout
from pipelines.core.trained import load_folder
from pipelines.measure.objectives import MEASURES, check_objectives
from pipelines.search.axes import Axis, Point
from pipelines.search.candidates import (
    count_points,
    draw_points,
    make_grid,
    require_trainable,
    skip_untrainable,
)
from pipelines.search.config import SearchConfig
from pipelines.search.scorer import Scorer
from pipelines.search.trial import Objective
from pipelines.tasks import make_task
from pipelines.training.config import ComputeConfig, TrainConfig


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
        """Where its state is kept."""
        return self.layout.state / f"search-{self.config.name}"

    @property
    def compute(self) -> ComputeConfig:
        """Of every trial: in its own process, or with several workers of Ray Train."""
        workers = self.config.workers
        runner = "ray" if workers > 1 else "local"
        own = {"runner": runner, "workers": workers, "keep_checkpoints": 1, "storage": None}
        return self.base.compute.model_copy(update=own)

    @property
    def count(self) -> int | None:
        """The most trials there can be, every seed counted; None without a limit.

        Raises:
            ConfigError: as for :meth:`points`.
        """
        if self._listed is not None:
            count: float = len(self._listed)
        elif self.config.algorithm == "random":
            count = count_points(self._axes)
        else:  # Optuna may propose a point again
            count = self.config.trials or math.inf
        return None if count == math.inf else int(count) * len(self.config.seeds)

    def objectives(self) -> list[Objective]:
        """What is optimized.

        Raises:
            ConfigError: a measure that the task does not have.
        """
        task = make_task(self.base.task, self.layout.root)
        check_objectives(self.config.objectives, task, self.config.measure)
        return [Objective(name=name, mode=MEASURES[name]) for name in self.config.objectives]

    @property
    def scorer(self) -> Scorer:
        """Of every trial."""
        return Scorer.of(self.base, self.config.measure, self.layout)

    def points(self) -> Iterator[Point]:
        """Trainable, distinct points of a grid or random draws; none for Optuna, which proposes its own.

        A resumed search gets the same ones in the same order, and more for a larger budget.

        Raises:
            ConfigError: a point of a grid cannot be trained, or is the same run as another; too many drawn
                ones cannot; or the space does not fit the task.
        """
        self.config.space.check_controls(make_task(self.base.task, self.layout.root).space)
        if self._listed is not None:
            return iter(self._listed)
        return self._draw_points() if self.config.algorithm == "random" else iter(())

    @cached_property
    def _listed(self) -> list[Point] | None:
        """The points if all are known in advance."""
        config = self.config
        if config.algorithm == "grid":
            return [*require_trainable(make_grid(self._axes)[: config.trials], self._first_config)]
        if config.algorithm == "random" and config.trials is not None:
            return [*islice(self._draw_points(), config.trials)]
        return None

    def _draw_points(self) -> Iterator[Point]:
        return skip_untrainable(draw_points(self._axes, self.config.seed), self._first_config)

    @property
    def _axes(self) -> list[Axis]:
        return list(self.config.space.axes())

    def _first_config(self, point: Point) -> TrainConfig:
        return self.trial_config(point, self.config.seeds[0])

    def trial_config(self, point: Point, seed: int) -> TrainConfig:
        """Section ``train`` of one trial.

        Raises:
            ConfigError: the point cannot be trained.
        """
        return self.config.space.train_config(point, self.base, seed=seed, **self._overrides)

    @property
    def materials(self) -> dict[str, str]:
        """Digests of the files that trials and scores read, by their role.

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
        """Section ``train`` at a fixed point, as JSON values: what all trials share.

        It does not change when the best configuration is adopted into ``params.yaml``.
        """
        point = next(draw_points(self._axes, 0))
        values = self.config.space.values(point, self.base, seed=0, **self._overrides)
        return {name: value for name, value in values.items() if name in self.base.identity()}

    @property
    def _overrides(self) -> dict[str, Any]:
        """Options of section ``train`` that a search sets at every point."""
        every = self.config.report_every
        return {
            "steps": self.config.steps,
            "checkpoint_every": every,
            "log_every": math.gcd(every, self.base.log_every),
            "compute": self.compute.model_dump(mode="json"),
        }
