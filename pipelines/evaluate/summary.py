"""The numbers of a run, ``metrics.json``: means over the test photographs, rounded, no times.

``psnr_clean``, ``ssim_clean`` and ``lpips`` compare with the clean image, ``psnr_own`` and ``ssim_own``
with what the setting itself asks for: at the vertex ``denoise`` that is the clean image, still blurred.
``niqe``, where it is measured, compares with nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.levels import levels_of
from pipelines.evaluate.matched import table
from pipelines.evaluate.measure import Measured
from pipelines.evaluate.own_curves import own_curves
from pipelines.evaluate.scores import Score, Scores, mean, means
from pipelines.measure.monotonicity import Count, count, range_db
from pipelines.measure.settings import Sweep, default_setting, grid, native, sweeps, vertex_name
from pipelines.tasks import Task
from tunable_models import ControlSpace

DECIMALS = 4


def summarise(task: Task, measured: Measured, config: EvaluateConfig, trunk: str) -> dict[str, Any]:
    """The document.

    Args:
        task: what the network was trained for.
        measured: the scores.
        config: what was measured where.
        trunk: label of LPIPS' trunk.
    """
    space, scores = task.space, measured.scores
    document = {
        "task": task.name,
        "photographs": len(measured.inputs),
        "levels": levels_of(task, config.levels),
        "psnr_input": mean(measured.inputs, "psnr_clean"),
        "ssim_input": mean(measured.inputs, "ssim_clean"),
        "lpips_input": mean(measured.inputs, "lpips"),
        "lpips_trunk": trunk,
        **_niqe_input(measured),
        "default": {**_at(space, default_setting(space)), **means(scores[default_setting(space)])},
        "vertices": _vertices(space, scores),
        "gain_db": _gains(space, measured),
        "best": _best(space, scores, config.grid),
        "monotonicity": _monotonicity(sweeps(space, config.steps), scores, config.tolerance_db),
        "sliders": _sliders(sweeps(space, config.steps), scores, config.least_range_db),
    }
    if measured.matched:
        document["matched"] = _matched(space, measured)
    return _rounded(document)  # type: ignore[no-any-return]


def _niqe_input(measured: Measured) -> dict[str, float]:
    named = "niqe" in measured.inputs[0].numbers
    return {"niqe_input": mean(measured.inputs, "niqe")} if named else {}


def _at(space: ControlSpace, setting: tuple[float, ...]) -> dict[str, Any]:
    return {"at": native(space, setting)}


def _vertices(space: ControlSpace, scores: Scores) -> dict[str, Any]:
    return {
        vertex_name(space, vertex): {**means(scores[vertex]), **_nearest(scores[vertex], index)}
        for index, vertex in enumerate(space.vertices)
    }


def _nearest(scores: Sequence[Score], vertex: int) -> dict[str, bool]:
    """Whether the output is nearer to what its vertex asks for than to what the others do."""
    nearness = [fmean(db) for db in zip(*(score.vertices for score in scores), strict=True)]
    return {"nearest_to_own": nearness[vertex] == max(nearness)} if vertex < len(nearness) else {}


def _gains(space: ControlSpace, measured: Measured) -> dict[str, float]:
    """PSNR to the clean image where nobody turns a slider, over the input and over every vertex."""
    default = default_setting(space)
    here = mean(measured.scores[default], "psnr_clean")
    rivals = {
        f"over_{vertex_name(space, vertex)}": here - mean(measured.scores[vertex], "psnr_clean")
        for vertex in space.vertices
        if vertex != default
    }
    return {"over_input": here - mean(measured.inputs, "psnr_clean"), **rivals}


def _best(space: ControlSpace, scores: Scores, count: int) -> dict[str, Any]:
    """Where on the grid the output is nearest to the clean image."""
    settings = grid(space, count)
    psnr = {setting: mean(scores[setting], "psnr_clean") for setting in settings}
    lpips = {setting: mean(scores[setting], "lpips") for setting in settings}
    best, perceived = max(settings, key=psnr.__getitem__), min(settings, key=lpips.__getitem__)
    document = {
        **_at(space, best),
        "psnr_clean": psnr[best],
        "by_lpips": {**_at(space, perceived), "lpips": lpips[perceived]},
    }
    if space.kind == "box" and all(control.kind == "objective" for control in space.controls):
        document["is_all_on"] = psnr[space.vertices[-1]] == psnr[best]
    return document


def _monotonicity(paths: Sequence[Sweep], scores: Scores, tolerance_db: float) -> dict[str, Any]:
    curves = {sweep: own_curves(scores, sweep) for sweep in paths}
    total = count([curve for group in curves.values() for curve in group], tolerance_db)
    each = {sweep.label: _count(count(group, tolerance_db)) for sweep, group in curves.items()}
    return {**_count(total), "passes": total.passes, **each}


def _count(counted: Count) -> dict[str, Any]:
    return {**asdict(counted), "fraction": counted.fraction}


def _sliders(paths: Sequence[Sweep], scores: Scores, least_db: float) -> dict[str, Any]:
    """How much each slider does; below the least it is dead."""
    ranges = {sweep.label: range_db(own_curves(scores, sweep)) for sweep in paths}
    dead = [label for label, rise in ranges.items() if rise < least_db]
    return {"range_db": ranges, "least_range_db": least_db, "dead": dead, "alive": not dead}


def _matched(space: ControlSpace, measured: Measured) -> dict[str, Any]:
    rows = table(space, measured.matched)
    return {
        "positions": rows,
        "best_where_matched": sum(row["best_value"] == row["value"] for row in rows),
        "worst_loss_to_best_db": max(row["loss_to_best_db"] for row in rows),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value
