"""Which omegas are trained on: section ``train.sampling`` of ``params.yaml``."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.core.config import Section
from tunable_models import (
    Beta,
    ControlSpace,
    Corners,
    Dirichlet,
    Fixed,
    Sampler,
    Schedule,
    Sobol,
    TruncatedNormal,
    Uniform,
)

Family = Literal["uniform", "dirichlet", "beta", "truncated-normal", "corners", "sobol", "schedule", "fixed"]

OPTIONS: dict[Family, tuple[str, ...]] = {
    "uniform": (),
    "dirichlet": ("alpha",),
    "beta": ("a", "b"),
    "truncated-normal": ("mean", "std"),
    "corners": ("corner_weight", "inner", "alpha"),
    "sobol": (),
    "schedule": ("points",),
    "fixed": ("at",),
}
"""What each family reads; an option set for another one is a mistake."""


class SamplingConfig(Section):
    """Which omegas are trained on; an option that the family does not read must stay at its default."""

    family: Family = "dirichlet"
    """Where omegas come from: uniform, dirichlet, beta, truncated-normal, corners (vertices mixed with
    another family), sobol (even without gaps), schedule (a grid, point after point) or fixed (one setting
    alone: a specialist to measure a tunable network against)."""
    alpha: float = Field(default=0.5, ge=0.01, le=100)
    """Of dirichlet, the concentration: below 1 favours the vertices, on a box the ends of each slider."""
    a: float = Field(default=0.5, ge=0.01, le=100)
    """Of beta: the smaller, the more omegas near 0."""
    b: float = Field(default=1.0, ge=0.01, le=100)
    """Of beta: the smaller, the more omegas near 1."""
    mean: float | tuple[float, ...] | None = None
    """Of truncated-normal, the most likely omega: a number for each control, on a box also one for all;
    null is the centre."""
    std: float = Field(default=0.25, ge=0.001, le=100)
    """Of truncated-normal, before the truncation."""
    corner_weight: float = Field(default=0.5, ge=0, le=1)
    """Of corners, the share of omegas that are vertices."""
    inner: Literal["uniform", "dirichlet"] = "uniform"
    """Of corners, the family of all other omegas."""
    points: int = Field(default=11, ge=2)
    """Of schedule, the values of each slider."""
    at: dict[str, float] = Field(default_factory=dict)
    """Of fixed, the setting: native values by the control's name; unset controls take their defaults."""
    group: int = Field(default=4, ge=1)
    """How many samples of a batch share one omega: 1 is an omega a sample, batch_size an omega a batch."""

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        fields = type(self).model_fields
        for name in {option for options in OPTIONS.values() for option in options}:
            changed = getattr(self, name) != fields[name].get_default(call_default_factory=True)
            if changed and name not in self._read():
                owners = [family for family, options in OPTIONS.items() if name in options]
                raise ValueError(
                    f"family {self.family} has no option {name}: leave it out, or take {' or '.join(owners)}"
                )
        return self

    def _read(self) -> tuple[str, ...]:
        """The options that count."""
        skipped = ("alpha",) if self.family == "corners" and self.inner == "uniform" else ()
        return tuple(name for name in OPTIONS[self.family] if name not in skipped)

    def sampler(self, space: ControlSpace, per_step: int) -> Sampler:
        """The sampler on that space.

        Args:
            space: of the task's controls.
            per_step: how many omegas a step draws, over all workers: batch_size / group.

        Raises:
            OmegaError: the options do not fit the space.
        """
        match self.family:
            case "uniform":
                return Uniform(space)
            case "dirichlet":
                return Dirichlet(space, self.alpha)
            case "beta":
                return Beta(space, self.a, self.b)
            case "truncated-normal":
                return TruncatedNormal(space, self.mean, self.std)
            case "corners":
                return Corners(space, self.corner_weight, self._inner(space))
            case "sobol":
                return Sobol(space, per_step)
            case "schedule":
                return Schedule(space, self.points, per_step)
            case "fixed":
                return Fixed(space, space.omega(self.at))

    def _inner(self, space: ControlSpace) -> Sampler:
        return Uniform(space) if self.inner == "uniform" else Dirichlet(space, self.alpha)
