"""The ``evaluate`` stage: measures the sliders of the trained network on the test photographs.

    metrics/metrics.json              what experiments are compared by, in git
    artifacts/evaluate/summary.json   every number
    artifacts/evaluate/plots/         curves along the sliders, numbers on the grid
    artifacts/evaluate/sliders.png    what the sliders do, to look at

The same network, photographs and options give the same bytes.
"""

import io
import json
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import write_atomic, write_json_atomic
from pipelines.core.trained import AGAIN, load_trained
from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.picture import draw_sliders
from pipelines.evaluate.plots import write_plots
from pipelines.evaluate.summary import select_metrics, summarize
from pipelines.features.lpips import LPIPS
from pipelines.features.niqe import load_niqe
from pipelines.measure.photographs import Batches, CenterCrops, Photographs
from pipelines.measure.sliders import measure_sliders
from pipelines.measure.trained import TrainedRunner, check_device
from pipelines.tasks import Task, TaskConfig, make_task
from tunable_models.metrics import SSIM_WINDOW_PX


def run(config: EvaluateConfig, layout: Layout) -> None:
    """Measure, then write every result.

    Raises:
        ConfigError: a level that the task does not have, or a device that this machine does not have.
        DataError: an earlier stage has not run or its artefacts are damaged, a test photograph is too
            small, the options ask for a photograph, weights or a model that are not there, or the task's
            own pictures or weights are not those of training.
    """
    torch.set_num_threads(config.threads)
    network, record = load_trained(layout)
    task = _load_task(record, layout)
    if task.space != network.space:  # the numbers would be those of other sliders
        raise DataError(
            f"expected the sliders {task.space.names}, the network has {network.space.names}; {AGAIN}"
        )
    levels = config.resolve_levels(task.levels, task.name)  # before anything is loaded
    materials = _check_materials(task, record)
    photographs = _open_photographs(config, layout, task, levels)
    lpips = LPIPS(config.lpips_net, layout.root / config.lpips_weights if config.lpips_weights else None)
    niqe = load_niqe(layout.root / config.niqe_model) if config.niqe_model else None
    network.to(check_device(config.device, "evaluate.device"))
    runner = TrainedRunner(network, network.spec.contract)
    measured = measure_sliders(runner, photographs, lpips, niqe, grid=config.grid, steps=config.steps)
    summary = summarize(task, measured, config, lpips.label) | {"materials": materials}
    sheet = io.BytesIO()
    [photograph] = Batches(photographs, [config.picture.photo]).at_usual_levels()
    draw_sliders(runner, task, photograph, config.picture).save(sheet, "PNG")
    write_plots(layout.evaluate / "plots", task.space, measured, config)
    write_atomic(layout.evaluate / "sliders.png", sheet.getvalue())
    write_json_atomic(layout.summary, summary)
    write_json_atomic(layout.metrics, select_metrics(summary))  # last: its presence says the rest is there
    print(_describe_results(summary, layout), flush=True)


def _load_task(record: dict[str, Any], layout: Layout) -> Task:
    try:
        # Through JSON, where a strict model takes a list for a tuple.
        adapter: TypeAdapter[TaskConfig] = TypeAdapter(TaskConfig)
        config = adapter.validate_json(json.dumps(record.get("task_config")))
    except ValidationError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"expected a known task in the record of training, got {reason}; {AGAIN}") from error
    return make_task(config, layout.root)


def _check_materials(task: Task, record: dict[str, Any]) -> dict[str, str]:
    """What the task takes from outside its options, which must be what it was trained with."""
    now, then = dict(task.materials), record.get("materials", {})
    changed = [name for name in now if now[name] != then.get(name)]
    if changed:  # the sliders would be measured by another trunk, or other styles, than in training
        name = changed[0]
        raise DataError(f"expected {name!r} of training to be {then.get(name)}, got {now[name]}; {AGAIN}")
    return now


def _open_photographs(
    config: EvaluateConfig, layout: Layout, task: Task, levels: dict[str, float]
) -> Photographs:
    photos = PhotoSet.open(layout.prepare / "test")
    if config.picture.photo >= len(photos):
        raise DataError(
            f"evaluate.picture.photo: expected one of the {len(photos)} test photographs, counted from 0, "
            f"got {config.picture.photo}"
        )
    least = max(SSIM_WINDOW_PX, task.scale)
    clean = CenterCrops(photos, config.crop_px, task.scale, min_side_px=least)
    return Photographs(task, clean, (config.seed, "evaluate"), levels=levels)


def _describe_results(summary: dict[str, Any], layout: Layout) -> str:
    monotonicity, dead = summary["monotonicity"], summary["sliders"]["dead"]
    gain = f"{summary['gain_db']['over_input']:+.2f} dB over the input with all sliders at their defaults; "
    alive = f"no rise along {', '.join(dead)}: a dead slider" if dead else "every slider is alive"
    return (
        f"evaluate: {gain if summary['default'].get('psnr_own') is not None else ''}"
        f"{monotonicity['violations']} of {monotonicity['pairs']} slider steps go the wrong way; {alive}\n"
        f"  numbers  {layout.summary}\n"
        f"  plots    {layout.evaluate / 'plots'}\n"
        f"  picture  {layout.evaluate / 'sliders.png'}"
    )
