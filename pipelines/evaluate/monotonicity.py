"""Does a slider always go the way it says?

A slider's own metric is the PSNR to the target at its upper end, the other sliders held where they are:
what turning it up should approach. Along a sweep every pair of neighbouring positions counts once for
each photograph; a pair whose metric falls by more than the tolerance is a violation. A network passes
if at most 1 % of the pairs are violations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.evaluate.scores import Scores
from pipelines.evaluate.settings import Sweep

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


def own_curves(scores: Scores, sweep: Sweep) -> list[list[float]]:
    """The slider's own metric along a sweep, one curve a photograph."""
    columns = [[score.psnr_corners[sweep.vertex] for score in scores[setting]] for setting in sweep.settings]
    return [list(curve) for curve in zip(*columns, strict=True)]
