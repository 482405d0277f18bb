"""The check of the small numbers that keep roots and logarithms smooth."""

import math

from tunable_models.errors import TunableError


def check_positive(objective: object, name: str, value: float) -> None:
    """Refuse a constant of an objective that is not positive and finite.

    Raises:
        TunableError: ``value`` is zero, negative, infinite or not a number.
    """
    if not (math.isfinite(value) and value > 0):
        raise TunableError(f"{type(objective).__name__}'s {name} must be positive and finite, got {value!r}")
