"""Axes of a search space, and the values that each may take: one value, a list to choose from, or a range.

In ``params.yaml``::

    alpha: 0.5                                # a value
    alpha: [0.25, 0.5, 1.0]                   # one of these
    alpha: {low: 0.1, high: 2.0, log: true}   # anything in between

Vectors, such as the ``mean`` of truncated-normal, have brackets of their own::

    mean: 0.5                                 # a number
    mean: [0.2, 0.9]                          # one of these numbers
    mean: [[0.2, 0.9]]                        # a vector
    mean: [[0.2, 0.9], [0.9, 0.2]]            # one of these vectors
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BeforeValidator, model_validator

from pipelines.core.config import Section
from tunable_models.bases import BasisName

DISTRIBUTION = "distribution"
"""The axis that decides which options of distributions apply."""

Value = str | int | float | None
Point = Mapping[str, Value]
"""Value of each axis by name; an axis that does not apply (another distribution's option) is missing."""

V = TypeVar("V")
N = TypeVar("N", int, float)


class Choice(Section, Generic[V]):
    """A list of values, or a single value."""

    values: tuple[V, ...] = ()
    """What may be chosen, with equal probability."""

    @model_validator(mode="before")
    @classmethod
    def _wrap_values(cls, given: Any) -> Any:
        if isinstance(given, (dict, Choice)):
            return given
        return {"values": given if isinstance(given, (tuple, list)) else (given,)}

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"duplicate value in {list(self.values)}")
        if not self.values and type(self).model_fields.keys() == {"values"}:
            raise ValueError("expected at least one value, got an empty list")
        return self

    @property
    def size(self) -> float:
        """How many values there are; infinite for a range of real numbers."""
        return len(self.values)


class Numbers(Choice[N], Generic[N]):
    """A choice of numbers, or a range of them."""

    values: tuple[N, ...] = ()
    """What may be chosen, with equal probability; empty for a range."""
    low: N | None = None
    """Least value of a range."""
    high: N | None = None
    """Greatest value of a range, included."""
    log: bool = False
    """Whether a range is uniform in the logarithm, as is usual for learning rates."""

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        ends = (self.low, self.high)
        if bool(self.values) == (ends != (None, None)) or (None in ends and not self.values):
            raise ValueError("expected a value, a list such as [1, 2], or a range {low: 1, high: 2}")
        if self.values:
            if self.log:
                raise ValueError("log applies to a range {low: ..., high: ...}, not to a list")
            return self
        low, high = self.ends
        if low >= high:
            raise ValueError(f"expected low less than high, got low {low} and high {high}")
        if self.log and low <= 0:
            raise ValueError(f"expected a logarithmic range that begins above 0, got low {low}")
        return self

    @property
    def ends(self) -> tuple[N, N]:
        """Least and greatest value of a range.

        Raises:
            ValueError: it is a list.
        """
        if self.low is None or self.high is None:
            raise ValueError(f"expected a range, got the list {list(self.values)}")
        return self.low, self.high

    @property
    def size(self) -> float:
        """How many values there are; infinite for a range of real numbers."""
        if self.values:
            return len(self.values)
        low, high = self.ends
        return high - low + 1 if isinstance(low, int) else math.inf


class Vectors(Choice[tuple[float, ...]]):
    """A list of vectors."""


def _parse_numbers_or_vectors(given: Any) -> Any:
    if given is None or isinstance(given, Choice):
        return given
    nested = isinstance(given, (tuple, list)) and any(isinstance(item, (tuple, list)) for item in given)
    return (Vectors if nested else Floats).model_validate(given)


Floats = Numbers[float]
Ints = Numbers[int]
Groups = Choice[int | Literal["sample", "batch"]]
Bases = Choice[BasisName]
Ranks = Choice[int | None]
FloatsOrVectors = Annotated[Floats | Vectors, BeforeValidator(_parse_numbers_or_vectors)]


@dataclass(frozen=True)
class Axis:
    """One axis of a space.

    Attributes:
        name: in points.
        domain: its possible values.
        of: the distribution it applies to; None for all.
    """

    name: str
    domain: Choice[Any]
    of: str | None = None

    def applies_to(self, point: Point) -> bool:
        """Whether a point has a value on it."""
        return self.of is None or point.get(DISTRIBUTION) == self.of


def format_point(point: Point) -> str:
    """A point in a sentence."""
    return ", ".join(f"{name} {value}" for name, value in point.items())


def format_vector(vector: tuple[float, ...]) -> str:
    """A vector as a value of a point, which must survive JSON and tables."""
    return str(list(vector))
