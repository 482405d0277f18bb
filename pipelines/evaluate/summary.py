"""The numbers of a run, ``summary.json``: means over the test photographs, rounded, no times.

``psnr_clean``, ``ssim_clean`` and ``lpips`` compare with the clean image, ``psnr_own`` and ``ssim_own``
with what the setting itself asks for: at the vertex ``denoise`` that is the clean image, still blurred.
``niqe``, where it is measured, compares with nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from pipelines.evaluate.config import EvaluateConfig
from pipelines.measure.monotonicity import MonotonicityCount, count_violations, mean_rise_db
from pipelines.measure.scores import PhotoScore, Scores, mean_number, mean_numbers, own_curves
from pipelines.measure.settings import (
    Sweep,
    default_setting,
    grid_settings,
    native_values,
    slider_sweeps,
    vertex_name,
)
from pipelines.measure.sliders import Condition, ConditionScore, SliderScores
from pipelines.tasks import Task
from tunable_models import ControlSpace

DECIMALS = 4


def summarize(task: Task, measured: SliderScores, config: EvaluateConfig, trunk: str) -> dict[str, Any]:
    """The contents of ``summary.json``; ``trunk`` is the label of LPIPS' trunk."""
    space, scores = task.space, measured.outputs
    default, inputs = default_setting(space), mean_numbers(measured.inputs)
    document = {
        "task": task.name,
        "photographs": len(measured.inputs),
        "levels": dict(measured.levels),
        "psnr_input": inputs["psnr_clean"],
        "ssim_input": inputs["ssim_clean"],
        "lpips_input": inputs["lpips"],
        "lpips_trunk": trunk,
        **({"niqe_input": inputs["niqe"]} if "niqe" in inputs else {}),
        "default": {"at": native_values(space, default), **mean_numbers(scores[default])},
        "vertices": _vertex_numbers(space, scores),
        "gain_db": _psnr_gains(space, measured),
        "best": _best_settings(space, scores, config.grid),
        **_slider_facts(slider_sweeps(space, config.steps), scores, config),
    }
    if measured.conditions:
        rows = condition_table(space, measured.conditions)
        document["matched"] = {
            "positions": rows,
            "best_where_matched": sum(row["best_value"] == row["value"] for row in rows),
            "worst_loss_to_best_db": max(row["loss_to_best_db"] for row in rows),
        }
    return _round_floats(document)  # type: ignore[no-any-return]


def select_metrics(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The few numbers by which experiments are compared, ``test.<name>`` in DVC's tables.

    The quality at the sliders' defaults, to the clean image; its gain over the input; and of the sliders how
    many steps go the wrong way, the smallest rise of a slider's own metric, and whether all are alive.
    """
    default, sliders = summary["default"], summary["sliders"]
    test = {
        "psnr": default["psnr_clean"],
        "ssim": default["ssim_clean"],
        "lpips": default["lpips"],
        "gain_db": summary["gain_db"]["over_input"],
        "violations": summary["monotonicity"]["violations"],
        "least_rise_db": min(sliders["range_db"].values()),
        "sliders_alive": sliders["alive"],
    }
    return {"test": test}


def condition_table(
    space: ControlSpace, conditions: Mapping[Condition, Sequence[ConditionScore]]
) -> list[dict[str, Any]]:
    """One row a condition: where the network was best, and what the true setting and its neighbors gave."""
    rows = []
    for condition, scores in conditions.items():
        means = [fmean(column) for column in zip(*(score.psnr for score in scores), strict=True)]
        values = [native_values(space, setting)[condition.name] for setting in condition.settings]
        best, truth = max(range(len(means)), key=means.__getitem__), condition.truth
        row = {
            "control": condition.name,
            "value": values[truth],
            "levels": dict(condition.levels),
            "psnr_input": fmean(score.psnr_input for score in scores),
            "psnr_matched": means[truth],
            "psnr_below": means[truth - 1] if truth else None,
            "psnr_above": means[truth + 1] if truth + 1 < len(means) else None,
            "best_value": values[best],
            "loss_to_best_db": means[best] - means[truth],
        }
        rows.append(row)
    return rows


def _vertex_numbers(space: ControlSpace, scores: Scores) -> dict[str, Any]:
    return {
        vertex_name(space, vertex): {**mean_numbers(scores[vertex]), **_nearest_to_own(scores[vertex], index)}
        for index, vertex in enumerate(space.vertices)
    }


def _nearest_to_own(scores: Sequence[PhotoScore], vertex: int) -> dict[str, bool]:
    """Whether the output is nearer to what its vertex asks for than to what the others do."""
    nearness = [fmean(db) for db in zip(*(score.vertices for score in scores), strict=True)]
    return {"nearest_to_own": nearness[vertex] == max(nearness)} if vertex < len(nearness) else {}


def _psnr_gains(space: ControlSpace, measured: SliderScores) -> dict[str, float]:
    """PSNR to the clean image at the defaults, over the input and over every vertex."""
    default = default_setting(space)
    here = mean_number(measured.outputs[default], "psnr_clean")
    rivals = {
        f"over_{vertex_name(space, vertex)}": here - mean_number(measured.outputs[vertex], "psnr_clean")
        for vertex in space.vertices
        if vertex != default
    }
    return {"over_input": here - mean_number(measured.inputs, "psnr_clean"), **rivals}


def _best_settings(space: ControlSpace, scores: Scores, count: int) -> dict[str, Any]:
    """Where on the grid the output is nearest to the clean image, by PSNR and by LPIPS."""
    settings = grid_settings(space, count)
    psnr = {setting: mean_number(scores[setting], "psnr_clean") for setting in settings}
    lpips = {setting: mean_number(scores[setting], "lpips") for setting in settings}
    best, perceived = max(settings, key=psnr.__getitem__), min(settings, key=lpips.__getitem__)
    document = {
        "at": native_values(space, best),
        "psnr_clean": psnr[best],
        "by_lpips": {"at": native_values(space, perceived), "lpips": lpips[perceived]},
    }
    if space.kind == "box" and all(control.kind == "objective" for control in space.controls):
        document["is_all_on"] = psnr[space.vertices[-1]] == psnr[best]
    return document


def _slider_facts(sweeps: Sequence[Sweep], scores: Scores, config: EvaluateConfig) -> dict[str, Any]:
    """How monotonic the sliders are, and how much each does; below the least it is dead."""
    curves = {sweep.label: own_curves(scores, sweep) for sweep in sweeps}
    total = count_violations([curve for group in curves.values() for curve in group], config.tolerance_db)
    each = {
        label: _plain_count(count_violations(group, config.tolerance_db)) for label, group in curves.items()
    }
    ranges = {label: mean_rise_db(group) for label, group in curves.items()}
    least_db = config.least_range_db
    dead = [label for label, rise in ranges.items() if rise < least_db]
    return {
        "monotonicity": {**_plain_count(total), "passes": total.passes, **each},
        "sliders": {"range_db": ranges, "least_range_db": least_db, "dead": dead, "alive": not dead},
    }


def _plain_count(counted: MonotonicityCount) -> dict[str, Any]:
    return {**asdict(counted), "fraction": counted.fraction}


def _round_floats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _round_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_round_floats(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value
