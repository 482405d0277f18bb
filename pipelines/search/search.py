"""A search: its options, what every trial starts from, and where its state lies."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.paths import Layout
from pipelines.search.config import SearchConfig
from pipelines.search.points import drawn, grid
from pipelines.search.scoring.measures import MEASURES, check_objectives
from pipelines.search.scoring.scorer import Scorer
from pipelines.search.trial_record import Objective, Point
from pipelines.tasks import make_task
from pipelines.train.config import ComputeConfig, TrainConfig
from pipelines.trained import load_folder


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
        """How many trials there will be, every seed counted; None without an end."""
        config, axes = self.config, list(self.config.space.axes())
        ends = config.algorithm == "grid" or all(axis.domain.values for axis in axes)
        # Optuna may propose a point again.
        whole = len(grid(axes)) if ends and config.algorithm != "optuna" else math.inf
        count = min(whole, config.trials or math.inf)
        return None if count == math.inf else int(count) * len(config.seeds)

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

    def points(self) -> Iterator[Point]:
        """Of a grid, or drawn; where they have an end, all of them can be trained. Optuna has its own.

        Raises:
            ConfigError: one cannot.
        """
        config = self.config
        axes = list(config.space.axes())
        points = iter(grid(axes)) if config.algorithm == "grid" else drawn(axes, config.seed)
        if self.count is None or config.algorithm == "optuna":
            return points
        listed = list(itertools.islice(points, config.trials))
        for point in listed:
            self.trial(point, config.seeds[0])
        return iter(listed)

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
        point = next(drawn(list(self.config.space.axes()), 0))
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
