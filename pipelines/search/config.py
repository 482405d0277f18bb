"""Options of the ``search`` stage, section ``search`` of ``params.yaml``."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.core.config import Section
from pipelines.measure.objectives import MeasureConfig
from pipelines.search.axes import Floats
from pipelines.search.space import Distribution, SpaceConfig


class AshaConfig(Section):
    """Stops weak trials early: asynchronous successive halving, https://arxiv.org/abs/1810.05934.

    Trials are compared by the first objective at ``grace_steps``, then at ``reduction`` times as many, and
    so on; at each the best ``1 / reduction`` of those seen so far continue.
    """

    grace_steps: int = Field(ge=1)
    """Steps that every trial gets."""
    reduction: int = Field(default=3, ge=2)
    """One in so many continues."""


class SearchConfig(Section):
    """Section ``search``."""

    machine = ("concurrent", "workers", "max_failures")

    name: str = Field(default="distributions", pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Of the search and its state; another space under the same name is refused."""
    space: SpaceConfig = SpaceConfig(
        distributions=(
            Distribution(family="uniform"),
            Distribution(family="dirichlet", alpha=Floats(values=(0.5, 2.0))),
            Distribution(family="corners", corner_weight=Floats(values=(0.5,))),
        )
    )
    """Axes and their values."""
    algorithm: Literal["random", "grid", "optuna"] = "grid"
    """Random points, every combination of listed values, or proposals of Optuna."""
    sampler: Literal["tpe", "nsga2"] = "tpe"
    """Sampler of Optuna."""
    seed: int = Field(default=0, ge=0)
    """Seed of random points and of Optuna."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Seeds of training: every point is trained once with each, and ranked by the mean."""
    objectives: tuple[str, ...] = Field(default=("hypervolume",), min_length=1)
    """Measures to optimize, most important first; see ``pipelines/measure/objectives.py``."""
    steps: int = Field(default=600, ge=1)
    """Optimizer steps of a trial, in place of ``train.steps``."""
    report_every: int = Field(default=200, ge=1)
    """Steps between scores, which are also checkpoints."""
    trials: int | None = Field(default=None, ge=1)
    """The most points to train; null is all of a grid, otherwise as many as time allows."""
    minutes: float | None = Field(default=None, gt=0)
    """Time for all trials, including earlier starts of the same search; null is unlimited."""
    concurrent: int | None = Field(default=None, ge=1)
    """Trials to run concurrently; null is as many as the cluster has capacity for."""
    workers: int = Field(default=1, ge=1)
    """Workers of a trial, in place of ``train.compute.workers``: one trains in the trial's process, several
    are started by Ray Train, which takes most of a minute each time."""
    max_failures: int = Field(default=1, ge=0)
    """How often a trial whose process died is resumed from its last checkpoint."""
    asha: AshaConfig | None = None
    """Stops weak trials early; null trains all to the end."""
    measure: MeasureConfig = MeasureConfig()
    """How a slider is scored."""

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.algorithm != "grid" and self.trials is None and self.minutes is None:
            raise ValueError(f"algorithm {self.algorithm} is endless; set trials, minutes or both")
        if self.algorithm == "optuna" and len(self.seeds) > 1:
            raise ValueError(
                "algorithm optuna takes a single one of seeds, as each proposal depends on earlier scores; "
                "compare its best points with several seeds by a grid"
            )
        for name in ("seeds", "objectives"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"duplicate value in {name} {list(values)}")
        if self.asha is not None and len(self.seeds) > 1:
            raise ValueError(
                "asha stops each seed separately, but points are ranked by all of seeds; set a single seed, "
                "and compare the best points with several seeds by a grid without asha"
            )
        if self.asha is not None and self.asha.grace_steps > self.steps:
            raise ValueError(f"asha.grace_steps {self.asha.grace_steps} is more than steps {self.steps}")
        if self.asha is not None and self.asha.grace_steps % self.report_every:
            raise ValueError(
                f"asha.grace_steps {self.asha.grace_steps} must be a multiple of report_every "
                f"{self.report_every}: trials are compared by their scores"
            )
        return self
