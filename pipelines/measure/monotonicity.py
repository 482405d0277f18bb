"""Does a slider do anything, and does it always go the way it says?

A slider's own metric is what its task says that turning it up raises, in dB. Along a sweep every pair
of neighbouring positions counts once for each photograph; a pair whose metric falls by more than the
tolerance is a violation. A network passes if at most 1 % of the pairs are violations. A dead slider has
none, which is why the rise from end to end counts too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

ALLOWED_FRACTION = 0.01


@dataclass(frozen=True, kw_only=True)
class Count:
    """How often a slider went against its metric.

    Attributes:
        violations: pairs that fell by more than the tolerance.
        pairs: all pairs.
        worst_drop_db: the largest fall, 0 if there is none.
    """

    violations: int
    pairs: int
    worst_drop_db: float

    @property
    def fraction(self) -> float:
        """Violations a pair."""
        return self.violations / self.pairs

    @property
    def passes(self) -> bool:
        """Whether the fraction is allowed."""
        return self.fraction <= ALLOWED_FRACTION


def count(curves: Iterable[Sequence[float]], tolerance_db: float) -> Count:
    """Count over curves of a metric, each along rising positions of its slider, in dB."""
    drops = [before - after for curve in curves for before, after in pairwise(curve)]
    return Count(
        violations=sum(drop > tolerance_db for drop in drops),
        pairs=len(drops),
        worst_drop_db=max(0.0, *drops),
    )


def range_db(curves: Sequence[Sequence[float]]) -> float:
    """How much the metric rises from end to end, mean over the curves."""
    return fmean(curve[-1] - curve[0] for curve in curves)
