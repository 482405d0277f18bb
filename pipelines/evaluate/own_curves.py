"""A slider's own metric along it, out of scores: what monotonicity is counted on."""

from pipelines.evaluate.scores import Scores
from pipelines.measure.settings import Sweep


def own_curves(scores: Scores, sweep: Sweep) -> list[list[float]]:
    """The slider's own metric along a sweep, one curve a photograph."""
    columns = [[score.progress[sweep.control] for score in scores[setting]] for setting in sweep.settings]
    return [list(curve) for curve in zip(*columns, strict=True)]
