"""Does a slider have an effect, and always the one that its description promises?

A slider's own metric is what its task says that turning it up raises, in dB. Along a sweep every pair
of neighboring positions counts once for each photograph; a pair whose metric falls by more than the
tolerance is a violation. A network passes if at most 1 % of the pairs are violations. A dead slider has
none, which is why the rise from end to end is reported too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from pipelines.measure.settings import Setting, Sweep

ALLOWED_FRACTION = 0.01

Curve = Sequence[float]
"""A slider's own metric of one photograph in dB, along rising positions of the slider."""


@dataclass(frozen=True, kw_only=True)
class MonotonicityCount:
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


def curves_along(sweep: Sweep, metric: Callable[[Setting], Sequence[float]]) -> list[Curve]:
    """One curve a photograph, from the metric of all photographs at each setting of the sweep."""
    return list(zip(*(metric(setting) for setting in sweep.settings), strict=True))


def count_violations(curves: Iterable[Curve], tolerance_db: float) -> MonotonicityCount:
    """Compare each position of every curve with the next."""
    drops = [before - after for curve in curves for before, after in pairwise(curve)]
    return MonotonicityCount(
        violations=sum(drop > tolerance_db for drop in drops),
        pairs=len(drops),
        worst_drop_db=max(0.0, *drops),
    )


def mean_rise_db(curves: Sequence[Curve]) -> float:
    """How much the metric rises from end to end, mean over the curves."""
    return fmean(curve[-1] - curve[0] for curve in curves)
