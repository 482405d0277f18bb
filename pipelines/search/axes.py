"""What a place in the search space may hold: one value, a list to choose from, or a range.

In ``params.yaml``::

    alpha: 0.5                                # a value
    alpha: [0.25, 0.5, 1.0]                   # one of these
    alpha: {low: 0.1, high: 2.0, log: true}   # anything in between

Where a vector may stand, such as the ``mean`` of truncated-normal, it has brackets of its own::

    mean: 0.5                                 # a number
    mean: [0.2, 0.9]                          # one of these numbers
    mean: [[0.2, 0.9]]                        # a vector
    mean: [[0.2, 0.9], [0.9, 0.2]]            # one of these vectors
"""

import math
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BeforeValidator, model_validator

from pipelines.core.config import Section
from tunable_models.bases import BasisName

Value = str | int | float | None
V = TypeVar("V")
N = TypeVar("N", int, float)


class Choice(Section, Generic[V]):
    """A list of values, or one value by itself."""

    values: tuple[V, ...] = ()
    """What may be chosen, each equally often."""

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        if isinstance(given, (dict, Choice)):
            return given
        return {"values": given if isinstance(given, (tuple, list)) else (given,)}

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"{list(self.values)} holds a value twice")
        if not self.values and type(self).model_fields.keys() == {"values"}:
            raise ValueError("an empty list leaves nothing to choose from")
        return self

    @property
    def size(self) -> float:
        """How many values there are; infinite for a range of real numbers."""
        return len(self.values)


class Numbers(Choice[N], Generic[N]):
    """A choice of numbers, or a range of them."""

    values: tuple[N, ...] = ()
    """What may be chosen, each equally often; empty for a range."""
    low: N | None = None
    """Least value of a range."""
    high: N | None = None
    """Greatest value of a range, which may occur."""
    log: bool = False
    """Whether a range is even in the logarithm, as is usual for learning rates."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        ends = (self.low, self.high)
        if bool(self.values) == (ends != (None, None)) or (None in ends and not self.values):
            raise ValueError("expected a value, a list such as [1, 2], or a range {low: 1, high: 2}")
        if self.values:
            if self.log:
                raise ValueError("log belongs to a range {low: ..., high: ...}, not to a list")
            return self
        low, high = self.ends
        if low >= high:
            raise ValueError(f"the range from {low} to {high}: low must be less than high")
        if self.log and low <= 0:
            raise ValueError(f"a logarithmic range must begin above 0, got low {low}")
        return self

    @property
    def ends(self) -> tuple[N, N]:
        """Of a range.

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


def vector_text(vector: tuple[float, ...]) -> str:
    """A vector as points of a search name it, which are read back from JSON and put into tables."""
    return str(list(vector))


def _numbers_or_vectors(given: Any) -> Any:
    if given is None or isinstance(given, Choice):
        return given
    nested = isinstance(given, (tuple, list)) and any(isinstance(item, (tuple, list)) for item in given)
    return (Vectors if nested else Floats).model_validate(given)


Floats = Numbers[float]
Ints = Numbers[int]
Groups = Choice[int | Literal["sample", "batch"]]
Bases = Choice[BasisName]
Ranks = Choice[int | None]
FloatsOrVectors = Annotated[Floats | Vectors, BeforeValidator(_numbers_or_vectors)]
