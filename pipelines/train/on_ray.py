"""The shell that runs the loop on Ray Train workers; the only module that imports ``ray.train``.

Ray places the workers, joins them in a process group and restarts them after a fault. It sees metrics,
never weights: checkpoints are ours (:mod:`pipelines.train.checkpoint`), because Ray copies its own into
place without a mark that they are whole.
"""

import os
import shutil
import signal
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device, prepare_model

from pipelines.cluster import ray_cluster
from pipelines.errors import ConfigError, PipelineError, TrainingError
from pipelines.records import read_json, write_json_atomic
from pipelines.train.batches import Share
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import ComputeConfig, TrainConfig
from pipelines.train.loop import Job, Progress, train
from pipelines.train.runlog import RunLog
from pipelines.train.samples import Samples
from tunable_models import TunableError

FAULT = "fault.json"


def run_on_ray(
    config: TrainConfig, photos: Path, folder: Path, fingerprint: str, root: Path = Path()
) -> None:
    """Train to the last step on Ray; checkpoints, log and sample pictures go below ``folder``.

    Args:
        config: of the run.
        photos: folder of training photographs, readable by every worker.
        folder: state of this run, shared by all workers.
        fingerprint: of this run.
        root: where relative paths in the task's options start, readable by every worker.

    Raises:
        ConfigError: there is no cluster at the address, or it is too small.
        TrainingError: a worker failed more often than ``compute.max_failures`` allows, or the loop itself
            refuses to go on.
    """
    compute = config.compute
    # A fresh name each time: Ray resumes whatever stands under an old one, whatever the params say now.
    name = f"train-{uuid.uuid4().hex[:12]}"
    (folder / FAULT).unlink(missing_ok=True)
    # Nobody watches Ray's dashboard here, and without one its state tracking fills the log with complaints.
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    try:
        with ray_cluster(compute.address, num_cpus=compute.workers * compute.threads):
            _check_resources(ray.cluster_resources(), compute)  # type: ignore[no-untyped-call]
            settings = {
                "config": config.model_dump(),
                "photos": str(photos),
                "folder": str(folder),
                "fingerprint": fingerprint,
                "root": str(root),
            }
            _fit(config.compute, settings, folder, name)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        raise TrainingError(f"training failed on Ray: {_cause(error)}") from error
    finally:
        shutil.rmtree(folder / "ray" / name, ignore_errors=True)
    if (folder / FAULT).exists():
        raise TrainingError(read_json(folder / FAULT)["message"])


def _check_resources(resources: Mapping[str, float], compute: ComputeConfig) -> None:
    # Ray would wait for them without a word.
    asked = {"CPU": compute.workers * compute.threads, "GPU": compute.workers if compute.use_gpu else 0}
    for kind, count in asked.items():
        if resources.get(kind, 0) < count:
            raise ConfigError(
                f"train.compute asks for {count} {kind}s in all, the cluster has {resources.get(kind, 0):g}; "
                "lower workers or threads, or join a larger cluster"
            )


def _fit(compute: ComputeConfig, settings: dict[str, Any], folder: Path, name: str) -> None:
    trainer = TorchTrainer(
        _worker,
        train_loop_config=settings,
        scaling_config=ScalingConfig(
            num_workers=compute.workers,
            use_gpu=compute.use_gpu,
            resources_per_worker={"CPU": compute.threads, **({"GPU": 1} if compute.use_gpu else {})},
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(folder / "ray"),
            failure_config=FailureConfig(max_failures=compute.max_failures),
        ),
    )
    with _ctrl_c():
        trainer.fit()


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Make Ctrl-C what it is elsewhere: Ray's own handler stops the workers, then ends the process."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _worker(settings: dict[str, Any]) -> None:
    context = ray.train.get_context()
    config = TrainConfig.model_validate(settings["config"])
    photos, folder = Path(settings["photos"]), Path(settings["folder"])
    share = Share(context.get_world_rank(), context.get_world_size())
    job = Job(
        config=config,
        photos=photos,
        store=CheckpointStore(folder / "checkpoints", settings["fingerprint"]),
        share=share,
        device=get_device(),
        root=Path(settings["root"]),
    )
    log = RunLog(folder)

    def report(progress: Progress) -> None:
        if share.rank == 0:
            log.append(progress)
        ray.train.report(asdict(progress))

    try:
        train(job, report, wrap=prepare_model, at_checkpoint=Samples(folder, photos, config))
    except (PipelineError, TunableError) as error:
        # The same steps would fail in the same way: hand the reason over instead of being restarted.
        write_json_atomic(folder / FAULT, {"message": str(error)})


def _cause(error: BaseException) -> str:
    """The last line of what a worker said, instead of Ray's whole traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
