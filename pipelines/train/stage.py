"""The ``train`` stage: from photographs to a trained network, tracked, resumable.

Artefacts (``artifacts/train``): ``model.safetensors``, ``curve.csv`` and ``record.json`` are the same
bytes for the same run; ``provenance.json`` is not, and nothing depends on it.
"""

import csv
import io
import time
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch

from pipelines.data.photos import PhotoSet
from pipelines.errors import DataError
from pipelines.paths import Layout
from pipelines.provenance import provenance
from pipelines.records import read_json, sha256_file, write_atomic, write_json_atomic
from pipelines.tasks import make_task
from pipelines.tracking import Tracker, tracking_uri
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import TrainConfig
from pipelines.train.fingerprint import fingerprint
from pipelines.train.loop import Progress
from pipelines.train.runlog import Follower, RunLog

PRINT_EVERY_S = 5.0


def run(config: TrainConfig, layout: Layout) -> None:
    """Train, and write the artefacts.

    A run is its fingerprint: options, data and code. Its state lies in ``.state/train-<fingerprint>``,
    so a run that was interrupted goes on from its last checkpoint, and a changed one starts clean.

    Raises:
        DataError: the ``prepare`` stage has not run, or a file that the options name is missing or unfit.
        TrainingError: the loss is not finite, or workers keep failing.
        CheckpointError: this run's checkpoints are all damaged.
    """
    photos = _photos(layout)
    this = _Run.of(config, photos, layout)
    tracker = _tracker(config, layout, this)
    try:
        if this.store.newest() != config.steps:  # otherwise only the artefacts are missing
            with Follower(this.log, Watcher(config, tracker, this.folder)):
                _train(config, photos.folder, this, layout.root)
        _write(config, layout, photos, this)
        facts = {"training_seconds": f"{_seconds(config, this):.0f}", "mlflow_run_id": tracker.run_id}
        write_json_atomic(layout.train / "provenance.json", provenance(layout.root) | facts)
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    for name in ("model.safetensors", "curve.csv", "record.json", "provenance.json"):
        tracker.artifact(layout.train / name)
    tracker.finish()
    print(f"trained network: {layout.train / 'model.safetensors'}; tracked in {tracking_uri(layout.root)}")


class Watcher:
    """What happens to new points of the log: a line for the person, everything to the tracker."""

    def __init__(self, config: TrainConfig, tracker: Tracker, folder: Path) -> None:
        self._steps, self._batch_size, self._tracker = config.steps, config.batch_size, tracker
        self._samples = folder / "samples"
        self._sent = set(self._samples.glob("*.png"))
        self._printed = float("-inf")

    def __call__(self, points: list[Progress]) -> None:
        """Print, log, and send new sample pictures."""
        if points:
            self._tracker.metrics([(p.step, _metrics(p)) for p in points])
            self._print(points[-1])
        for picture in sorted(set(self._samples.glob("*.png")) - self._sent):
            self._tracker.artifact(picture, "samples")
            self._sent.add(picture)

    def _print(self, point: Progress) -> None:
        last = point.step == self._steps
        if not last and time.monotonic() - self._printed < PRINT_EVERY_S:
            return
        self._printed = time.monotonic()
        left = (self._steps - point.step) * self._batch_size / point.images_per_s
        print(
            f"train  step {point.step}/{self._steps}  loss {point.loss:.4f}  "
            f"{point.images_per_s:.0f} images/s  {left:.0f} s left",
            flush=True,
        )


def _metrics(point: Progress) -> dict[str, float]:
    return {
        "loss": point.loss,
        "lr": point.lr,
        "grad_norm": point.grad_norm,
        "images_per_s": point.images_per_s,
    }


@dataclass(frozen=True)
class _Run:
    """A run's name, where its state lies, and what it takes from outside its options."""

    identity: str
    folder: Path
    materials: dict[str, str]

    @classmethod
    def of(cls, config: TrainConfig, photos: PhotoSet, layout: Layout) -> "_Run":
        task = make_task(config.task, layout.root)
        materials = {**task.materials, **config.network.materials(layout.root)}
        options = config.identity() | ({"materials": materials} if materials else {})
        identity = fingerprint(options, photos.index.sha256)
        return cls(identity, layout.state / f"train-{identity[:16]}", materials)

    @property
    def store(self) -> CheckpointStore:
        return CheckpointStore(self.folder / "checkpoints", self.identity)

    @property
    def log(self) -> RunLog:
        return RunLog(self.folder)


def _train(config: TrainConfig, photos: Path, this: _Run, root: Path) -> None:
    if config.compute.runner == "local":
        from pipelines.train.local import run_local

        run_local(config, photos, this.folder, this.identity, root)
    else:
        from pipelines.train.on_ray import run_on_ray

        run_on_ray(config, photos, this.folder, this.identity, root)


def _photos(layout: Layout) -> PhotoSet:
    folder = layout.prepare / "train"
    if not folder.is_dir():
        raise DataError(
            f"expected photographs in {folder}, found nothing; run 'dvc repro' or the prepare stage first"
        )
    return PhotoSet.open(folder)


def _tracker(config: TrainConfig, layout: Layout, this: _Run) -> Tracker:
    """A run goes on under its own MLflow run when it resumes."""
    note = this.folder / "mlflow.json"
    known = read_json(note)["run_id"] if note.exists() else None
    tags = {"fingerprint": this.identity, "stage": "train", "task": config.task.name}
    tracker = Tracker(layout.root, f"train-{this.identity[:8]}", known, tags)
    if tracker.run_id and tracker.run_id != known:
        tracker.params(config.model_dump(mode="json"))
        write_json_atomic(note, {"run_id": tracker.run_id})
    return tracker


def _write(config: TrainConfig, layout: Layout, photos: PhotoSet, this: _Run) -> None:
    task = make_task(config.task, layout.root)
    network = config.network.make(task.space, config.seed, layout.root)
    network.load_state_dict(this.store.load(config.steps)["network"])
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
        "architecture": {"id": config.network.architecture, "config": config.network.options()},
        **config.network.model_dump(mode="json", include={"basis", "rank", "train", "include", "exclude"}),
        "space": task.space.to_dict(),
        "weights_sha256": sha256_file(layout.train / "model.safetensors"),
        "fingerprint": this.identity,
        "steps": config.steps,
        "options": config.identity(),
        "photos": {"count": len(photos), "sha256": photos.index.sha256},
    }
    write_json_atomic(layout.train / "record.json", record)  # last: its presence says the rest is there


def _seconds(config: TrainConfig, this: _Run) -> float:
    """Time in the loop, over all interruptions, from the speeds in the log."""
    curve = this.log.curve(config.steps)
    steps = [point.step - before for point, before in zip(curve, [0, *(p.step for p in curve)], strict=False)]
    speeds = [point.images_per_s for point in curve]
    return sum(n * config.batch_size / speed for n, speed in zip(steps, speeds, strict=True))


def _csv(curve: list[Progress]) -> bytes:
    """Step, loss and learning rate: what is the same for the same run, so no speed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "loss", "lr"])
    writer.writerows((p.step, f"{p.loss:.6g}", f"{p.lr:.6g}") for p in curve)
    return text.getvalue().encode()
