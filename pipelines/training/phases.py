"""The phases of a training: which omegas it sees, what it changes, and the learning rate, from step to step.

Networks that mix their kernels have one, rival methods may have one for each end of a slider
(:mod:`tunable_models.rivals`).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from pipelines.core.errors import ConfigError
from pipelines.training.config import OptimizerConfig
from tunable_models import ControlSpace
from tunable_models.rivals import Phase, find_method


@dataclass(frozen=True)
class Span:
    """A phase and its steps.

    Attributes:
        phase: what is trained, and at which omega.
        first: number of its first step.
        end: number of the first step behind it.
    """

    phase: Phase
    first: int
    end: int

    def learning_rate(self, config: OptimizerConfig, step: int) -> float:
        """Of a step of this phase: a linear warm-up, then a half cosine to zero at its end."""
        done, steps = step - self.first, self.end - self.first
        if done < config.warmup_steps:
            return config.lr * (done + 1) / config.warmup_steps
        part = (done - config.warmup_steps) / max(1, steps - config.warmup_steps)
        return config.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, part)))


class Phases:
    """The phases of one run.

    Args:
        method: name of the method that gives the network its sliders.
        space: of the sliders.
        steps: of the run.

    Raises:
        ConfigError: fewer steps than phases.
    """

    def __init__(self, method: str, space: ControlSpace, steps: int) -> None:
        self._rival = find_method(method)
        phases = (Phase(),) if self._rival is None else self._rival.phases(space)
        if steps < len(phases):
            raise ConfigError(
                f"train.steps {steps}: method {method!r} trains in {len(phases)} phases, each of one step at "
                "least"
            )
        total = 0.0
        ends = [round(steps * (total := total + phase.share)) for phase in phases]
        self._spans = [Span(*each) for each in zip(phases, [0, *ends[:-1]], ends, strict=True)]

    def at(self, step: int) -> Span:
        """The phase of a step; behind the last step it is the last one."""
        return next((span for span in self._spans if step < span.end), self._spans[-1])

    def select(self, names: Collection[str], phase: Phase) -> set[str]:
        """Those of a network's trained parameters, by name, that a phase changes."""
        if self._rival is None or phase.trained == "all":
            return set(names)
        return {name for name in names if self._rival.is_added(name) == (phase.trained == "added")}
