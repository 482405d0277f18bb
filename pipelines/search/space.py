"""The search space: section ``search.space`` of ``params.yaml``, its axes, and the options at each point.

A point has a value for each axis that applies to it. Axes are named ``distribution``, ``group``, ``basis``,
``rank``, ``lr``, ``batch_size``, ``patch_px``, ``scale.<loss scale>``, and ``<distribution>.<option>`` for
an option with several values, which applies to that distribution alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.core.config import Section, parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.axes import (
    DISTRIBUTION,
    Axis,
    Bases,
    Choice,
    Floats,
    FloatsOrVectors,
    Groups,
    Ints,
    Numbers,
    Point,
    Ranks,
    Vectors,
    format_point,
    format_vector,
)
from pipelines.training.config import OPTIONS, Family, TrainConfig
from tunable_models import ControlSpace

SCALE = "_scale"
"""Suffix of a task's options that weigh an objective: the lambda_i of the loss."""

OPTION_OF_AXIS = {
    "group": "sampling.group",
    "basis": "network.basis",
    "rank": "network.rank",
    "lr": "optimizer.lr",
    "batch_size": "batch_size",
    "patch_px": "patch_px",
}
"""The option of section ``train`` that an axis sets."""


class Distribution(Section):
    """A distribution of omega in training: a family of ``train.sampling`` and its options.

    Each option is a value, a list or a range.
    """

    family: Family
    """One of ``train.sampling``."""
    label: str | None = Field(default=None, pattern=r"^[^/.]+$")
    """Name in tables and plots; by default the family and its fixed options."""
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
    def _check_options(self) -> Self:
        if self.family == "fixed":
            raise ValueError("family fixed trains a single setting, so there is no slider to search for")
        for name in self._options():
            if name not in OPTIONS[self.family]:
                owners = ", ".join(family for family, options in OPTIONS.items() if name in options)
                raise ValueError(f"family {self.family} has no option {name}; it belongs to {owners}")
        return self

    def _options(self) -> dict[str, Any]:
        names = (name for name in type(self).model_fields if name not in ("family", "label"))
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def fixed(self) -> dict[str, Any]:
        """Options with one value."""
        return {
            name: value.values[0] if isinstance(value, Choice) else value
            for name, value in self._options().items()
            if not isinstance(value, Choice) or len(value.values) == 1
        }

    @property
    def searched(self) -> dict[str, Choice[Any]]:
        """Options with several values."""
        return {name: value for name, value in self._options().items() if name not in self.fixed}

    @property
    def title(self) -> str:
        """The label, or its default."""
        fixed = (
            f"{name} {format_vector(value) if isinstance(value, tuple) else value}"
            for name, value in self.fixed.items()
        )
        return self.label or " ".join([self.family, *fixed])


class SpaceConfig(Section):
    """What is searched; other options stay as in section ``train``."""

    distributions: tuple[Distribution, ...] = ()
    """Distributions of omega in training."""
    group: Groups | None = None
    """How many samples share one omega: ``sample`` (1), ``batch`` (all) or a number."""
    loss_scales: dict[str, Floats] = Field(default_factory=dict)
    """The lambda_i of the task's loss: options of ``train.task`` that end in ``_scale``."""
    basis: Bases | None = None
    rank: Ranks | None = None
    """Rank of the deltas; null for full rank."""
    lr: Floats | None = None
    batch_size: Ints | None = None
    patch_px: Ints | None = None

    @model_validator(mode="after")
    def _check_axes(self) -> Self:
        titles = [distribution.title for distribution in self.distributions]
        for title in titles:
            if titles.count(title) > 1:
                raise ValueError(f"duplicate distribution {title!r}; give one of them another label")
        for name in self.loss_scales:
            if not name.endswith(SCALE):
                raise ValueError(f"loss_scales.{name}: expected an option of train.task that ends in {SCALE}")
        if not list(self.axes()):
            raise ValueError("expected at least one axis, such as distributions or lr, got none")
        return self

    def axes(self) -> Iterator[Axis]:
        """All axes, a distribution before its own options."""
        if self.distributions:
            yield Axis(DISTRIBUTION, Choice(values=tuple(self._by_title())))
        for title, distribution in self._by_title().items():
            for name, domain in distribution.searched.items():
                yield Axis(f"{title}.{name}", _name_vectors(domain), of=title)
        for name in OPTION_OF_AXIS:
            domain = getattr(self, name)
            if domain is not None:
                yield Axis(name, domain)
        for name, scales in self.loss_scales.items():
            yield Axis(f"scale.{name}", scales)

    def _by_title(self) -> dict[str, Distribution]:
        return {distribution.title: distribution for distribution in self.distributions}

    def changes(self, point: Point, base: TrainConfig) -> dict[str, Any]:
        """Options that a point sets in section ``train``, of which ``base`` is the rest, by dotted key."""
        changes: dict[str, Any] = {}
        if DISTRIBUTION in point:
            changes["sampling"] = self._sampling(point, base)
        changes |= {option: point[name] for name, option in OPTION_OF_AXIS.items() if name in point}
        changes |= {f"task.{name}": point[f"scale.{name}"] for name in self.loss_scales}
        if "sampling.group" in changes:
            sizes = {"sample": 1, "batch": changes.get("batch_size", base.batch_size)}
            group = changes.pop("sampling.group")
            group = sizes.get(group, group)
            kept = base.sampling.model_dump(mode="json", exclude_defaults=True)
            changes["sampling"] = {**changes.get("sampling", kept), "group": group}
        return changes

    def _sampling(self, point: Point, base: TrainConfig) -> dict[str, Any]:
        title = str(point[DISTRIBUTION])
        distribution = self._by_title()[title]
        searched = {
            name: _parse_value(domain, point[f"{title}.{name}"])
            for name, domain in distribution.searched.items()
        }
        family = {"family": distribution.family}
        return family | distribution.fixed | searched | {"group": base.sampling.group}

    def values(self, point: Point, base: TrainConfig, **more: Any) -> dict[str, Any]:
        """Section ``train`` at a point, as JSON values that are not validated yet.

        Args:
            point: of this space.
            base: the section that it changes.
            more: further changes, by option.

        Raises:
            ConfigError: an axis is no option of the task.
        """
        values = base.model_dump(mode="json")
        for option, value in {**self.changes(point, base), **more}.items():
            _set_option(values, option.split("."), value)
        return values

    def train_config(self, point: Point, base: TrainConfig, **more: Any) -> TrainConfig:
        """Section ``train`` at a point; arguments as for :meth:`values`.

        Raises:
            ConfigError: an invalid combination, such as a batch size that is no multiple of the group.
        """
        try:
            return parse_section(self.values(point, base, **more), "train", TrainConfig)
        except ConfigError as error:
            raise ConfigError(f"search.space: point {format_point(point)}: {error}") from error

    def check_controls(self, controls: ControlSpace) -> None:
        """Check the distributions against the controls of the task.

        Raises:
            ConfigError: a mean of single numbers on a simplex, where it must be a vector.
        """
        for distribution in self.distributions:
            if controls.kind == "simplex" and isinstance(distribution.mean, Numbers):
                vector = [round(1 / len(controls), 2)] * len(controls)
                mean = distribution.mean
                got = list(mean.values) or f"the range from {mean.low} to {mean.high}"
                raise ConfigError(
                    f"search.space: {distribution.title}: on a simplex mean takes a number for each of "
                    f"{', '.join(controls.names)}, in brackets of its own, such as mean: [{vector}]; "
                    f"got {got}"
                )


def _name_vectors(domain: Choice[Any]) -> Choice[Any]:
    if not isinstance(domain, Vectors):
        return domain
    return Choice(values=tuple(format_vector(vector) for vector in domain.values))


def _parse_value(domain: Choice[Any], value: Any) -> Any:
    """The inverse of :func:`_name_vectors` for one value."""
    if not isinstance(domain, Vectors):
        return value
    return next(vector for vector in domain.values if format_vector(vector) == value)


def _set_option(values: dict[str, Any], keys: list[str], value: Any) -> None:
    *folders, last = keys
    for key in folders:
        values = values[key]
    if not isinstance(value, Mapping) and last not in values:
        raise ConfigError(f"search.space: train.{'.'.join(keys)} is no option of this task")
    values[last] = value
