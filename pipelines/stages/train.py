"""The ``train`` stage: train a network on the prepared photographs, tracked and resumable.

Artefacts (``artifacts/train``): ``model.safetensors``, ``curve.csv``, ``validation.csv`` and ``record.json``
are the same bytes for the same run, and so is ``metrics/train.json``; ``provenance.json`` is not, and nothing
depends on it.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import safetensors.torch

from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.core.locks import hold_lock
from pipelines.core.progress import Display, tell
from pipelines.core.provenance import provenance
from pipelines.core.records import read_json, sha256_file, write_atomic, write_json_atomic
from pipelines.core.signals import Interrupted, StopRequest, stop_politely
from pipelines.core.torchrun import rank, world_size
from pipelines.data.photos import PhotoSet
from pipelines.running.local import launch_job
from pipelines.running.run import Run
from pipelines.running.startup import read_startup
from pipelines.tasks import make_task
from pipelines.tracking import shown_uri
from pipelines.tracking.context import choose_run_name, describe_context
from pipelines.tracking.run_folder import Dataset
from pipelines.tracking.sync import RunSync
from pipelines.tracking.tensorboard import EventFiles
from pipelines.training.config import TrainConfig
from pipelines.training.learner import suggest_precision
from pipelines.training.log import LogFollower, Progress
from pipelines.training.loop import Hooks, Stopped

ARTEFACTS = ("model.safetensors", "curve.csv", "validation.csv", "record.json", "provenance.json")


def run(config: TrainConfig, layout: Layout, *, accept_code_change: bool = False) -> None:
    """Train, and write the artefacts.

    A run is identified by the fingerprint of its options, data and code. Its state is in
    ``.state/train-<fingerprint>``: an interrupted run resumes from its last checkpoint, a changed one starts
    clean. Where the artefacts are of this very run already, from a colleague's ``dvc push`` say, nothing is
    trained.

    Args:
        config: of the run.
        layout: of the work tree.
        accept_code_change: resume the last run that differs in its code alone, and record that.

    Raises:
        ConfigError: torchrun started this, and the options ask for Ray.
        DataError: the ``prepare`` stage has not run, a file that the options name is missing or unfit, or the
            storage of checkpoints does not take them.
        TrainingError: the loss is not finite, or workers keep failing.
        CheckpointError: this run's checkpoints are all damaged.
        Interrupted: a stop was requested; the last step has a checkpoint.
    """
    if world_size() > 1 and config.compute.runner != "local":
        raise ConfigError(
            f"torchrun started {world_size()} processes, but train.compute.runner {config.compute.runner!r} "
            "starts its own; set it to local"
        )
    photos = _open_photos(layout)
    this = Run.of(config, photos, layout)
    if _has_artefacts(layout, this):
        if not rank():
            _report(f"{layout.train} is of this run already; nothing to train")
        return
    if rank():
        _train_as_follower(config, layout, this)
        return
    with hold_lock(this.folder / "run.lock", f"process with this run, {this.folder},", _report):
        if accept_code_change:
            this.accept(_report)
        _train_and_track(config, layout, photos, this)


def _has_artefacts(layout: Layout, this: Run) -> bool:
    """Whether the artefacts are whole and of this run."""
    try:
        record = read_json(layout.train / "record.json")
        is_whole = all(map(Path.is_file, [*_list_files(layout), layout.train_metrics]))
        is_whole &= record["weights_sha256"] == sha256_file(layout.train / "model.safetensors")
        return is_whole and bool(record["fingerprint"] == this.identity)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _list_files(layout: Layout) -> list[Path]:
    return [layout.train / name for name in ARTEFACTS]


def _train_and_track(config: TrainConfig, layout: Layout, photos: PhotoSet, this: Run) -> None:
    if suggestion := suggest_precision(config):
        _report("; ".join(suggestion))
    step = this.begin(_report)
    sync = _make_sync(config, layout, this, photos)
    stop = StopRequest()
    try:
        with sync:
            if step < config.steps or world_size() > 1:  # otherwise only the artefacts are missing
                stop = _train_with_display(config, layout, this, step)
            _write_artefacts(config, layout, photos, this)
            facts = {
                "training_seconds": f"{this.log.seconds(config.batch_size, config.steps):.0f}",
                "mlflow_run_id": sync.wait_for_run(),
            }
            write_json_atomic(layout.train / "provenance.json", provenance(layout.root) | facts)
            this.store.push([layout.train / name for name in ARTEFACTS], "artifacts")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            sync.finish("KILLED", deadline_s=5.0)  # the user is waiting
        else:
            sync.finish("FAILED")
        raise
    sync.finish("FINISHED", _list_files(layout))
    tell(f"trained network: {layout.train / 'model.safetensors'}; tracked in {shown_uri(layout.root)}")
    if stop():  # during the last steps: this stage is complete, and no other one may follow
        raise _make_interrupted(stop)


def _train_as_follower(config: TrainConfig, layout: Layout, this: Run) -> None:
    """Train as one of torchrun's processes that is not the main one.

    Raises:
        Interrupted: a stop was requested, and all processes stopped.
    """
    with stop_politely(lambda message: None) as stop:
        try:
            _train(config, layout, this, stop)
        except Stopped:
            raise _make_interrupted(stop) from None


def _make_interrupted(stop: StopRequest) -> Interrupted:
    """With the signal, if this process got it and not the main one."""
    return Interrupted() if stop.signum is None else Interrupted(stop.signum)


def _report(message: str) -> None:
    tell(f"train: {message}")


def _train_with_display(config: TrainConfig, layout: Layout, this: Run, step: int) -> StopRequest:
    """Train, show progress, and stop when requested.

    Returns:
        The stop request, which may have come after the last step.

    Raises:
        Interrupted: a stop was requested, and training stopped.
    """
    with (
        Display("train", total=config.steps, done=step) as display,
        stop_politely(lambda message: display.say(f"train: {message}")) as stop,
        LogFollower(this.log, ProgressView(config, display, this.folder)),
        _write_event_files(config, this),
    ):
        try:
            _train(config, layout, this, stop)
        except Stopped as stopped:
            display.say(f"train: {stopped}")
            raise _make_interrupted(stop) from None
    return stop


class ProgressView:
    """Shows new points of the log, and once the duration of the start."""

    def __init__(self, config: TrainConfig, display: Display, folder: Path) -> None:
        self._steps, self._batch_size = config.steps, config.batch_size
        self._display, self._folder = display, folder
        self._begun = False

    def __call__(self, points: list[Progress]) -> None:
        """Show the last of them, and the metrics of all validations."""
        for point in points:
            if point.validation:
                said = _format_validation(point.validation)
                self._display.say(f"train: step {point.step}, validation {said}")
        if points:
            self._show_startup()
            self._show_point(points[-1])

    def _show_startup(self) -> None:
        parts = read_startup(self._folder)
        if parts and not self._begun:
            named = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items())
            self._display.say(f"train: started in {sum(parts.values()):.0f} s ({named})")
        self._begun = True

    def _show_point(self, point: Progress) -> None:
        shares = {name: f"{value:.4f}" for name, value in point.shares.items()}
        self._display.update(
            point.step,
            rate=point.images_per_s,
            left_s=(self._steps - point.step) * self._batch_size / point.images_per_s,
            facts={"loss": f"{point.loss:.4f}", **shares, "memory": f"{point.memory_gb:.1f} GB"},
        )


def _format_validation(validation: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in validation.items() if name != "at")


def _train(config: TrainConfig, layout: Layout, this: Run, stop: StopRequest) -> None:
    launch_job(this.make_job(config, layout), Hooks(stop=stop))


def _open_photos(layout: Layout) -> PhotoSet:
    folder = layout.prepare / "train"
    if not folder.is_dir():
        raise DataError(
            f"expected photographs in {folder}, found nothing; run 'dvc repro' or the prepare stage first"
        )
    return PhotoSet.open(folder)


def _make_sync(config: TrainConfig, layout: Layout, this: Run, photos: PhotoSet) -> RunSync:
    """A resumed run continues its own MLflow run."""
    tags = {
        "fingerprint": this.identity,
        "stage": "train",
        "task": config.task.name,
        "parameters": str(config.network.count_parameters(make_task(config.task, layout.root).space)),
        "data_sha256": photos.index.sha256,
    }
    return RunSync(
        this.folder,
        layout.root,
        choose_run_name(f"train-{this.identity[:8]}"),
        params=config.model_dump(mode="json"),
        tags=tags | describe_context(layout.root, "tunable run train"),
        parent=config.tracking.parent,
        datasets=_list_datasets(layout, photos),
    )


def _list_datasets(layout: Layout, photos: PhotoSet) -> Iterator[Dataset]:
    """The photographs to train and to validate on, named after their source."""
    record = layout.prepare / "record.json"
    source = str(read_json(record)["source"]["source"]) if record.is_file() else "photographs"
    held_out = layout.prepare / "validation"
    sides = {"train": photos, "validation": PhotoSet.open(held_out) if held_out.is_dir() else None}
    for side, there in sides.items():
        if there:
            yield Dataset(
                name=f"{source} ({side})",
                digest=there.index.sha256,
                context="training" if side == "train" else "validation",
                source=(layout.prepare / side).relative_to(layout.root).as_posix(),
                profile={"photographs": len(there)},
            )


def _write_event_files(config: TrainConfig, this: Run) -> AbstractContextManager[object]:
    return EventFiles(this.folder) if config.tracking.tensorboard else nullcontext()


def _write_artefacts(config: TrainConfig, layout: Layout, photos: PhotoSet, this: Run) -> None:
    task = make_task(config.task, layout.root)
    network = this.make_job(config, layout).load_network()
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_atomic(layout.train / "model.safetensors", safetensors.torch.save(tensors))
    curve = this.log.curve(config.steps)
    write_atomic(layout.train / "curve.csv", _format_curve(curve))
    write_atomic(layout.train / "validation.csv", _format_validations(curve))
    write_json_atomic(layout.train_metrics, _collect_metrics(curve))
    record = {
        "schema": 1,
        "task": task.name,
        "description": task.description,
        "task_config": config.task.model_dump(mode="json"),
        "materials": this.materials,
        "scale": task.scale,
        **config.network.describe(task.space),
        "weights_sha256": sha256_file(layout.train / "model.safetensors"),
        "fingerprint": this.identity,
        "steps": config.steps,
        "options": config.identity(),
        "lineage": this.lineage,
        "photos": {"count": len(photos), "sha256": photos.index.sha256},
    }
    write_json_atomic(layout.train / "record.json", record)  # last: marks the artefacts as complete


def _format_curve(curve: list[Progress]) -> bytes:
    """Step, loss and learning rate as CSV; nothing that differs from run to run."""
    return _format_csv(["step", "loss", "lr"], ((p.step, p.loss, p.lr) for p in curve))


def _format_validations(curve: list[Progress]) -> bytes:
    """Step, loss and PSNR of every validation as CSV; no PSNR where settings ask for no picture."""
    # Not columns of the curve: between empty cells DVC's plots have no line to draw.
    watched = [point for point in curve if point.validation]
    rows = ([point.step, *(point.validation.get(name, "") for name in ("loss", "psnr"))] for point in watched)
    return _format_csv(["step", "loss", "psnr"], rows)


def _collect_metrics(curve: list[Progress]) -> dict[str, dict[str, float]]:
    """The last loss, and the means of the last validation if there was one."""
    metrics = {"train": {"loss": _round_number(curve[-1].loss)}} if curve else {}
    for point in [point for point in curve if point.validation][-1:]:
        means = {name: value for name, value in point.validation.items() if name != "at"}
        metrics["validation"] = {name: _round_number(value) for name, value in means.items()}
    return metrics


def _format_csv(head: Sequence[str], rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in rows)
    return text.getvalue().encode()


def _round_number(value: float) -> float:
    return float(f"{value:.6g}")
