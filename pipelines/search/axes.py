"""What a place in the search space may hold: one value, a list to choose from, or a range.

In ``params.yaml``::

    alpha: 0.5                                # a value
    alpha: [0.25, 0.5, 1.0]                   # one of these
    alpha: {low: 0.1, high: 2.0, log: true}   # anything in between
"""

from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import model_validator

from pipelines.config import Section
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


Floats = Numbers[float]
Ints = Numbers[int]
Groups = Choice[int | Literal["sample", "batch"]]
Bases = Choice[BasisName]
Ranks = Choice[int | None]
AnyAxis = Choice[Any] | Floats | Ints
