"""The ``train`` stage: from photographs to a trained network, tracked, resumable.

Artefacts (``artifacts/train``): ``model.safetensors``, ``curve.csv`` and ``record.json`` are the same
bytes for the same run; ``provenance.json`` is not, and nothing depends on it.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.core.progress import Display, tell
from pipelines.core.provenance import provenance
from pipelines.core.records import sha256_file, write_atomic, write_json_atomic
from pipelines.core.signals import Interrupted, StopRequest, stop_politely
from pipelines.core.torchrun import rank, world_size
from pipelines.data.photos import PhotoSet
from pipelines.running.launch import launch
from pipelines.running.run import Run
from pipelines.running.startup import read_startup
from pipelines.running.worker import Assignment
from pipelines.tasks import make_task
from pipelines.tracking import shown_uri
from pipelines.tracking.mirror import Mirror
from pipelines.training.config import TrainConfig
from pipelines.training.forward import suggest_precision
from pipelines.training.log import Follower
from pipelines.training.loop import Hooks, Stopped
from pipelines.training.metrics import Progress
from pipelines.training.result import trained_network

ARTEFACTS = ("model.safetensors", "curve.csv", "record.json", "provenance.json")


def run(config: TrainConfig, layout: Layout, *, accept_code_change: bool = False) -> None:
    """Train, and write the artefacts.

    A run is its fingerprint: options, data and code. Its state lies in ``.state/train-<fingerprint>``,
    so a run that was interrupted goes on from its last checkpoint, and a changed one starts clean.

    Args:
        config: of the run.
        layout: of the work tree.
        accept_code_change: go on from the last run that differs in its code alone, and record that.

    Raises:
        ConfigError: torchrun started this, and the options ask for Ray.
        DataError: the ``prepare`` stage has not run, or a file that the options name is missing or unfit.
        TrainingError: the loss is not finite, or workers keep failing.
        CheckpointError: this run's checkpoints are all damaged.
        Interrupted: somebody asked to stop; the last step has a checkpoint.
    """
    if world_size() > 1 and config.compute.runner != "local":
        raise ConfigError(
            f"torchrun started {world_size()} processes, and train.compute.runner says "
            f"{config.compute.runner!r}, which starts its own; set it to local"
        )
    photos = _photos(layout)
    this = Run.of(config, photos, layout)
    if rank():
        _follow(config, layout, this)
        return
    if accept_code_change:
        this.accept(_say)
    if suggestion := suggest_precision(config):
        _say("; ".join(suggestion))
    step = this.begin(_say)
    mirror = _mirror(config, layout, this)
    stop = StopRequest()
    try:
        with mirror:
            if step < config.steps or world_size() > 1:  # otherwise only the artefacts are missing
                stop = _watched(config, layout, this, step)
            _write(config, layout, photos, this)
            facts = {
                "training_seconds": f"{this.log.seconds(config.batch_size, config.steps):.0f}",
                "mlflow_run_id": mirror.wait_for_run(),
            }
            write_json_atomic(layout.train / "provenance.json", provenance(layout.root) | facts)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            mirror.finish("KILLED", deadline_s=5.0)  # whoever asked is waiting
        else:
            mirror.finish("FAILED")
        raise
    mirror.finish("FINISHED", [layout.train / name for name in ARTEFACTS])
    tell(f"trained network: {layout.train / 'model.safetensors'}; tracked in {shown_uri(layout.root)}")
    if stop():  # during the last steps: this stage is complete, and no other one is to follow
        raise _interrupted(stop)


def _follow(config: TrainConfig, layout: Layout, this: Run) -> None:
    """Train as one of torchrun's processes that another one leads.

    Raises:
        Interrupted: it was asked to stop, and all did.
    """
    with stop_politely(lambda sentence: None) as stop:
        try:
            _train(config, layout, this, stop)
        except Stopped:
            raise _interrupted(stop) from None


def _interrupted(stop: StopRequest) -> Interrupted:
    """Of this process, or of one that it follows."""
    return Interrupted() if stop.signum is None else Interrupted(stop.signum)


def _say(sentence: str) -> None:
    tell(f"train: {sentence}")


def _watched(config: TrainConfig, layout: Layout, this: Run, step: int) -> StopRequest:
    """Train, show how far it is, and stop when asked to.

    Returns:
        What may have come too late for that.

    Raises:
        Interrupted: it was asked to, and did.
    """
    with (
        Display("train", total=config.steps, done=step) as display,
        stop_politely(lambda sentence: display.say(f"train: {sentence}")) as stop,
        Follower(this.log, Watcher(config, display, this.folder)),
    ):
        try:
            _train(config, layout, this, stop)
        except Stopped as stopped:
            display.say(f"train: {stopped}")
            raise _interrupted(stop) from None
    return stop


class Watcher:
    """Shows new points of the log, and once what the start took."""

    def __init__(self, config: TrainConfig, display: Display, folder: Path) -> None:
        self._steps, self._batch_size = config.steps, config.batch_size
        self._display, self._folder = display, folder
        self._begun = False

    def __call__(self, points: list[Progress]) -> None:
        """Show the last of them, and all numbers of validations."""
        for point in points:
            if point.validation:
                self._display.say(f"train: step {point.step}, validation {_brief(point.validation)}")
        if points:
            self._start()
            self._show(points[-1])

    def _start(self) -> None:
        parts = read_startup(self._folder)
        if parts and not self._begun:
            named = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items())
            self._display.say(f"train: started in {sum(parts.values()):.0f} s ({named})")
        self._begun = True

    def _show(self, point: Progress) -> None:
        shares = {name: f"{value:.4f}" for name, value in point.shares.items()}
        self._display.update(
            point.step,
            rate=point.images_per_s,
            left_s=(self._steps - point.step) * self._batch_size / point.images_per_s,
            facts={"loss": f"{point.loss:.4f}", **shares, "memory": f"{point.memory_gb:.1f} GB"},
        )


def _brief(validation: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in validation.items() if name != "at")


def _train(config: TrainConfig, layout: Layout, this: Run, stop: StopRequest) -> None:
    assignment = Assignment.of(
        config,
        layout.prepare / "train",
        layout.prepare / "validation",
        this.folder,
        this.identity,
        layout.root,
    )
    launch(assignment, config.compute, Hooks(stop=stop))


def _photos(layout: Layout) -> PhotoSet:
    folder = layout.prepare / "train"
    if not folder.is_dir():
        raise DataError(
            f"expected photographs in {folder}, found nothing; run 'dvc repro' or the prepare stage first"
        )
    return PhotoSet.open(folder)


def _mirror(config: TrainConfig, layout: Layout, this: Run) -> Mirror:
    """A run goes on under its own MLflow run when it resumes."""
    return Mirror(
        this.folder,
        layout.root,
        f"train-{this.identity[:8]}",
        params=config.model_dump(mode="json"),
        tags={"fingerprint": this.identity, "stage": "train", "task": config.task.name},
        parent=config.tracking.parent,
    )


def _write(config: TrainConfig, layout: Layout, photos: PhotoSet, this: Run) -> None:
    task = make_task(config.task, layout.root)
    network = trained_network(config, this.store, layout.root)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_atomic(layout.train / "model.safetensors", safetensors.torch.save(tensors))
    write_atomic(layout.train / "curve.csv", _csv(this.log.curve(config.steps)))
    record = {
        "schema": 1,
        "task": task.name,
        "description": task.description,
        "task_config": config.task.model_dump(mode="json"),
        "materials": this.materials,
        "scale": task.scale,
        **network.spec.to_dict(),
        "weights_sha256": sha256_file(layout.train / "model.safetensors"),
        "fingerprint": this.identity,
        "steps": config.steps,
        "options": config.identity(),
        "lineage": this.lineage,
        "photos": {"count": len(photos), "sha256": photos.index.sha256},
    }
    write_json_atomic(layout.train / "record.json", record)  # last: its presence says the rest is there


def _csv(curve: list[Progress]) -> bytes:
    """Step, loss and learning rate: what is the same whenever the run is, so no speed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "loss", "lr"])
    writer.writerows((p.step, f"{p.loss:.6g}", f"{p.lr:.6g}") for p in curve)
    return text.getvalue().encode()
