"""The numbers of a run, ``metrics.json``: means over the test photographs, rounded, no times.

``psnr_clean``, ``ssim_clean`` and ``lpips`` compare with the clean image, ``psnr_own`` and ``ssim_own``
with the target of the setting itself: at the corner ``denoise`` that is the clean image, still blurred.
"""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.monotonicity import Count, count, own_curves
from pipelines.evaluate.scores import NUMBERS, Score, Scores, mean
from pipelines.evaluate.settings import Sweep, corner_name, grid, sweeps
from tunable_models import ControlSpace

DECIMALS = 4


def summarise(
    space: ControlSpace, inputs: Sequence[Score], scores: Scores, config: EvaluateConfig, trunk: str
) -> dict[str, Any]:
    """The document.

    Args:
        space: of the sliders.
        inputs: scores of the degraded inputs, one a photograph.
        scores: of the outputs.
        config: what was measured where.
        trunk: label of LPIPS' trunk.
    """
    corners = {corner_name(space, v): _corner(scores[v], i) for i, v in enumerate(space.vertices)}
    all_on = mean(scores[space.vertices[-1]], "psnr_clean")
    rivals = {name: corner["psnr_clean"] for name, corner in list(corners.items())[:-1]}
    document = {
        "photographs": len(inputs),
        "noise_sigma": config.noise_sigma,
        "blur_sigma": config.blur_sigma,
        "psnr_input": mean(inputs, "psnr_clean"),
        "ssim_input": mean(inputs, "ssim_clean"),
        "lpips_input": mean(inputs, "lpips"),
        "lpips_trunk": trunk,
        "corners": corners,
        "gain_db": {
            "over_input": all_on - mean(inputs, "psnr_clean"),
            **{f"over_{name}": all_on - value for name, value in rivals.items()},
        },
        "best": _best(space, scores, config.grid, all_on),
        "monotonicity": _monotonicity(sweeps(space, config.steps), scores, config.tolerance_db),
    }
    return _rounded(document)  # type: ignore[no-any-return]


def _corner(scores: Sequence[Score], vertex: int) -> dict[str, Any]:
    means = [fmean(db) for db in zip(*(score.psnr_corners for score in scores), strict=True)]
    return {
        **{name: mean(scores, name) for name in NUMBERS},
        "nearest_to_own": means[vertex] == max(means),
    }


def _best(space: ControlSpace, scores: Scores, count: int, all_on: float) -> dict[str, Any]:
    """Where on the grid the output is nearest to the clean image."""
    means = {setting: mean(scores[setting], "psnr_clean") for setting in grid(space, count)}
    best = max(means, key=means.__getitem__)
    return {
        **dict(zip(space.names, best, strict=True)),
        "psnr_clean": means[best],
        "is_all_on": all_on == means[best],
    }


def _monotonicity(paths: Sequence[Sweep], scores: Scores, tolerance_db: float) -> dict[str, Any]:
    curves = {sweep: own_curves(scores, sweep) for sweep in paths}
    total = count([curve for group in curves.values() for curve in group], tolerance_db)
    document = {**_count(total), "passes": total.passes}
    for sweep, group in curves.items():
        document[sweep.label] = _count(count(group, tolerance_db))
    return document


def _count(counted: Count) -> dict[str, Any]:
    return {**asdict(counted), "fraction": counted.fraction}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, DECIMALS) if isinstance(value, float) else value
