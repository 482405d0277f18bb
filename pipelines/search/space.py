"""The search space: section ``search.space`` of ``params.yaml``, its axes, and what a point of it trains.

A point names a value for each axis that applies to it. Axes are called ``distribution``, ``group``,
``basis``, ``rank``, ``lr``, ``batch_size``, ``patch_px``, ``scale.<loss scale>``, and
``<distribution>.<option>`` for an option that is not fixed, which applies to that distribution alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.core.config import Section, parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.axes import (
    Bases,
    Choice,
    Floats,
    FloatsOrVectors,
    Groups,
    Ints,
    Numbers,
    Ranks,
    Vectors,
    vector_text,
)
from pipelines.search.trial_record import Point
from pipelines.training.config import TrainConfig
from pipelines.training.sampling import OPTIONS, Family
from tunable_models import ControlSpace

DISTRIBUTION = "distribution"
SCALE = "_scale"
"""How a task's options that weigh an objective end: the lambda_i of the loss."""

PLACES = {
    "group": "sampling.group",
    "basis": "network.basis",
    "rank": "network.rank",
    "lr": "optimizer.lr",
    "batch_size": "batch_size",
    "patch_px": "patch_px",
}
"""Where in section ``train`` an axis stands."""


class Distribution(Section):
    """Where omega may come from in training: a family of ``train.sampling`` and its options.

    Each option is a value, a list or a range.
    """

    family: Family
    """Of ``train.sampling``."""
    label: str | None = Field(default=None, pattern=r"^[^/.]+$")
    """In tables and plots; by default the family and its fixed options."""
    alpha: Floats | None = None
    a: Floats | None = None
    b: Floats | None = None
    mean: FloatsOrVectors | None = None
    """A flat list is a choice of numbers, each for all sliders; a list of lists is a choice of vectors, a
    number for each control. On a simplex it takes a list of lists."""
    std: Floats | None = None
    corner_weight: Floats | None = None
    inner: Literal["uniform", "dirichlet"] | None = None
    points: Ints | None = None

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if self.family == "fixed":
            raise ValueError("family fixed trains one setting, which is no slider to search for")
        for name in self.options():
            if name not in OPTIONS[self.family]:
                owners = [family for family, options in OPTIONS.items() if name in options]
                raise ValueError(f"family {self.family} has no option {name}, {' and '.join(owners)} has")
        return self

    def options(self) -> dict[str, Any]:
        """What is said of the family: axes, and ``inner``."""
        names = (name for name in type(self).model_fields if name not in ("family", "label"))
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def fixed(self) -> dict[str, Any]:
        """Options with one value."""
        plain = {name: _only(value) for name, value in self.options().items()}
        return {name: value for name, value in plain.items() if value is not None}

    def open(self) -> dict[str, Choice[Any]]:
        """Options that are searched."""
        fixed = self.fixed()
        return {name: value for name, value in self.options().items() if name not in fixed}

    @property
    def title(self) -> str:
        """The label."""
        words = [self.family, *(f"{name} {_in_points(value)}" for name, value in self.fixed().items())]
        return self.label or " ".join(words)


def _only(value: Any) -> Any:
    """The value that is no choice; None of a choice."""
    if not isinstance(value, Choice):
        return value
    return value.values[0] if len(value.values) == 1 else None


def _in_points(value: Any) -> Any:
    """A value as points have it."""
    return vector_text(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        name: in points.
        domain: what its values may be.
        of: the distribution it applies to; None for all.
    """

    name: str
    domain: Choice[Any]
    of: str | None = None

    def applies(self, point: Point) -> bool:
        """Whether a point has a value on it."""
        return self.of is None or point.get(DISTRIBUTION) == self.of


class SpaceConfig(Section):
    """What is searched; what is not named stays as section ``train`` says."""

    distributions: tuple[Distribution, ...] = ()
    """Where omega comes from in training."""
    group: Groups | None = None
    """How many samples share one omega: ``sample`` (1), ``batch`` (all) or a number."""
    loss_scales: dict[str, Floats] = Field(default_factory=dict)
    """The lambda_i of the task's loss: options of ``train.task`` that end in ``_scale``."""
    basis: Bases | None = None
    rank: Ranks | None = None
    """Of the deltas; null for full ones."""
    lr: Floats | None = None
    batch_size: Ints | None = None
    patch_px: Ints | None = None

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        titles = [distribution.title for distribution in self.distributions]
        for title in titles:
            if titles.count(title) > 1:
                raise ValueError(f"two distributions are called {title!r}; give one of them a label")
        for name in self.loss_scales:
            if not name.endswith(SCALE):
                raise ValueError(f"loss_scales.{name}: expected an option of train.task that ends in {SCALE}")
        if not list(self.axes()):
            raise ValueError("nothing is searched; name distributions, lr or another axis")
        return self

    def axes(self) -> Iterator[Axis]:
        """All axes, a distribution before its own options."""
        if self.distributions:
            yield Axis(DISTRIBUTION, Choice(values=tuple(self._by_title())))
        for title, distribution in self._by_title().items():
            for name, domain in distribution.open().items():
                yield Axis(f"{title}.{name}", _named(domain), of=title)
        for name in PLACES:
            domain = getattr(self, name)
            if domain is not None:
                yield Axis(name, domain)
        for name, scales in self.loss_scales.items():
            yield Axis(f"scale.{name}", scales)

    def _by_title(self) -> dict[str, Distribution]:
        return {distribution.title: distribution for distribution in self.distributions}

    def changes(self, point: Point, base: TrainConfig) -> dict[str, Any]:
        """What a point says of section ``train``, by dotted option.

        Args:
            point: of this space.
            base: the section that it changes.
        """
        changes: dict[str, Any] = {}
        if DISTRIBUTION in point:
            changes["sampling"] = self._sampling(point, base)
        for name, place in PLACES.items():
            if name in point:
                changes[place] = point[name]
        changes |= {f"task.{name}": point[f"scale.{name}"] for name in self.loss_scales}
        if "sampling.group" in changes:
            group = _group(changes.pop("sampling.group"), changes.get("batch_size", base.batch_size))
            kept = base.sampling.model_dump(mode="json", exclude_defaults=True)
            changes["sampling"] = {**changes.get("sampling", kept), "group": group}
        return changes

    def _sampling(self, point: Point, base: TrainConfig) -> dict[str, Any]:
        title = str(point[DISTRIBUTION])
        distribution = self._by_title()[title]
        searched = {
            name: _meant(domain, point[f"{title}.{name}"]) for name, domain in distribution.open().items()
        }
        return {
            "family": distribution.family,
            **distribution.fixed(),
            **searched,
            "group": base.sampling.group,
        }

    def values(self, point: Point, base: TrainConfig, **more: Any) -> dict[str, Any]:
        """Section ``train`` at a point, as JSON values that nobody has looked at yet.

        Args:
            point: of this space.
            base: the section that it changes.
            more: further changes, by option.

        Raises:
            ConfigError: an axis is no option of the task.
        """
        values = base.model_dump(mode="json")
        for place, value in {**self.changes(point, base), **more}.items():
            _put(values, place.split("."), value)
        return values

    def config(self, point: Point, base: TrainConfig, **more: Any) -> TrainConfig:
        """Section ``train`` at a point; arguments as for :meth:`values`.

        Raises:
            ConfigError: the values do not go together, such as a batch that is no multiple of its groups.
        """
        try:
            return parse_section(self.values(point, base, **more), "train", TrainConfig)
        except ConfigError as error:
            raise ConfigError(
                f"search.space: the point {point_text(point)} cannot be trained: {error}"
            ) from error

    def check(self, controls: ControlSpace) -> None:
        """Refuse what no point could mend.

        Args:
            controls: of the task.

        Raises:
            ConfigError: a mean of single numbers on a simplex.
        """
        for distribution in self.distributions:
            if controls.kind == "simplex" and isinstance(distribution.mean, Numbers):
                vector = [round(1 / len(controls), 2)] * len(controls)
                raise ConfigError(
                    f"search.space: {distribution.title}: on a simplex mean takes a number for each of "
                    f"{', '.join(controls.names)}, in brackets of its own, such as mean: [{vector}]; got "
                    f"{_given(distribution.mean)}"
                )


def point_text(point: Point) -> str:
    """A point in a sentence."""
    return ", ".join(f"{name} {value}" for name, value in point.items())


def _given(numbers: Numbers[Any]) -> str:
    if numbers.values:
        return f"{list(numbers.values)}, which is a choice of numbers"
    return f"the range from {numbers.low} to {numbers.high}"


def _named(domain: Choice[Any]) -> Choice[Any]:
    """The domain with vectors as points have them."""
    if not isinstance(domain, Vectors):
        return domain
    return Choice(values=tuple(vector_text(vector) for vector in domain.values))


def _meant(domain: Choice[Any], value: Any) -> Any:
    """What stands in section ``train`` for a point's value."""
    if not isinstance(domain, Vectors):
        return value
    return next(vector for vector in domain.values if vector_text(vector) == value)


def _group(group: Any, batch_size: int) -> Any:
    return {"sample": 1, "batch": batch_size}.get(group, group)


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    *folders, last = keys
    for key in folders:
        values = values[key]
    if isinstance(value, Mapping) or last in values:
        values[last] = value
        return
    raise ConfigError(f"search.space: train.{'.'.join(keys)} is no option of this task")
