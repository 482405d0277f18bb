"""Launch a job on Ray Train workers; the only module that imports ``ray.train``.

Ray places the workers, connects them in a process group and restarts them after a fault, elastic ones with as
many as the cluster has. It sees neither weights nor metrics. Checkpoints are ours
(:mod:`pipelines.training.checkpoint`), because Ray copies its own into place without a completeness marker;
and ``ray.train.report`` would let all workers wait for its controller, which polls every two seconds.
"""

import os
import shutil
import sys
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
from ray import cloudpickle
from ray.train import FailureConfig, Result, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2._internal.execution.callback import ControllerCallback
from ray.util.metrics import Gauge
from torch.distributed import DistError

from pipelines.core.errors import (
    CheckpointError,
    ConfigError,
    LoaderError,
    TrainingError,
    is_expected,
)
from pipelines.core.progress import tell
from pipelines.core.ray_cluster import ray_cluster, watched
from pipelines.running.job import TrainJob, run_worker
from pipelines.running.ray.capacity import Capacity, IdleWarning
from pipelines.running.ray.coordinator import POLL_EVERY_S, DirectoryProbe, StopCoordinator, StopPoll
from pipelines.running.registrations import list_user_modules
from pipelines.running.startup import Startup
from pipelines.training.batches import Share
from pipelines.training.config import ComputeConfig
from pipelines.training.log import Progress
from pipelines.training.loop import Hooks, Stopped
from tunable_models import TunableError

PERMANENT = (ConfigError, CheckpointError, TrainingError, TunableError)
"""Errors that a restart would meet again.

No DataError, although a damaged file stays damaged: an unreachable server or a slow file system raises one
too, and those recover. A damaged file costs the restarts, and is reported after them.
"""

UNHEARD_S = 30.0
"""Seconds without a poll of any worker after which none is there to stop."""

GAUGES = {
    "step": "Optimizer steps done.",
    "epoch": "Epochs done.",
    "loss": "Mean loss since the last point of the log.",
    "lr": "Learning rate of the next step.",
    "grad_norm": "L2 norm of the gradient before clipping.",
    "images_per_s": "Patches through all workers in a second.",
    "workers": "Workers that share every batch.",
    "memory_gb": "Memory of worker 0, in 10^9 bytes.",
}
"""Fields of a point that Ray's Prometheus endpoint exports, as ``ray_tunable_train_<name>``."""


def run_on_ray(job: TrainJob, hooks: Hooks) -> None:
    """Train to the last step on Ray; checkpoints, log and sample pictures go into the job's folder.

    Args:
        job: the run; its paths are readable by every worker.
        hooks: of which ``stop`` is asked in this process and forwarded to the workers, and
            ``at_checkpoint`` and ``at_resume``, which must be picklable, are called on the main worker.

    Raises:
        ConfigError: there is no cluster at the address, it is too small, or a node has other code.
        Stopped: ``hooks.stop`` asked to.
        TrainingError: workers failed more often than ``compute.max_failures`` allows, the loop raised a
            permanent error, or a worker's node does not see the folder.
    """
    # A fresh name each time: Ray resumes a run of the same name, with its old options.
    name = f"train-{uuid.uuid4().hex[:12]}"
    # Ray's dashboard is not used here, and without one its state tracking fills the log with complaints.
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    compute, ray_folder = job.config.compute, job.folder / "ray"
    startup = Startup()
    try:
        with ray_cluster(compute.address, num_cpus=compute.most_workers * compute.threads) as private:
            _check_capacity(compute, private=private)
            coordinator = StopCoordinator()
            settings = {
                "job": job,
                "probe": DirectoryProbe.write(ray_folder / name),
                "coordinator": coordinator.handle,
                "startup": startup.mark("cluster"),
                "hooks": {"at_checkpoint": hooks.at_checkpoint, "at_resume": hooks.at_resume},
            }
            trainer = _make_trainer(compute, settings, ray_folder, name)
            warning = IdleWarning(compute, coordinator.free_resources)
            with _pickled_by_value(list_user_modules(job.config, job.registrations)):
                result = _fit(trainer.fit, coordinator, warning, hooks.stop)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        if isinstance(error, ray.train.ControllerError) and _is_permanent(error.controller_failure):
            raise error.controller_failure from None
        raise TrainingError(f"training failed on Ray: {_describe_cause(error)}") from error
    finally:
        shutil.rmtree(ray_folder / name, ignore_errors=True)  # with the probe
    stopped_at: int | None = result.return_value  # type: ignore[attr-defined]  # the checker sees version 1
    if stopped_at is not None:
        raise Stopped(stopped_at)


@contextmanager
def _pickled_by_value(names: Iterable[str]) -> Iterator[None]:
    """Send what these modules define along with a job, to workers that cannot import them."""
    modules = [sys.modules[name] for name in names if name in sys.modules]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]


def _check_capacity(compute: ComputeConfig, *, private: bool) -> None:
    """Report that the workers do not fit: Ray would wait for nodes silently.

    Raises:
        ConfigError: in a private cluster, which does not grow.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    capacity = Capacity.of(nodes, compute)
    if capacity.can_start:
        return
    if private:
        raise ConfigError(f"train.compute: {capacity}; lower workers or threads")
    tell(f"train: {capacity}; waiting for nodes")


def _make_trainer(
    compute: ComputeConfig, settings: dict[str, Any], ray_folder: Path, name: str
) -> TorchTrainer:
    return TorchTrainer(
        _run_ray_worker,  # type: ignore[arg-type]  # version 1 again
        train_loop_config=settings,
        scaling_config=ScalingConfig(  # type: ignore[call-arg]
            num_workers=compute.workers,  # type: ignore[arg-type]
            use_gpu=compute.use_gpu,
            resources_per_worker={"CPU": compute.threads, **({"GPU": 1} if compute.use_gpu else {})},
            elastic_resize_monitor_interval_s=compute.resize_every_s,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(ray_folder),
            failure_config=FailureConfig(max_failures=compute.max_failures),
            callbacks=[_PermanentFailure(), _ControllerRegistration(settings["coordinator"])],  # type: ignore[list-item]
        ),
    )


class _PermanentFailure(UserCallback):
    """Ends the run for an error that a restart would meet again.

    Ray's controller calls it. An error of a callback is the only one after which Ray does not restart.
    """

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        permanent = next((error for error in worker_exceptions.values() if _is_permanent(error)), None)
        if permanent is not None:
            raise permanent


class _ControllerRegistration(ControllerCallback):
    """Registers Ray's controller with the coordinator; the driver gets no handle, and may have to kill it.

    Not public, but the only hook before workers run, and Ray passes on such callbacks for uses like this.
    """

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator

    def after_controller_start(self, train_run_context: Any) -> None:
        self._coordinator.register_controller.remote(ray.get_runtime_context().current_actor)


def _is_permanent(error: Exception) -> bool:
    # The end of a loader is a TrainingError too, but it may recover.
    return isinstance(error, PERMANENT) and not isinstance(error, LoaderError)


def _fit(
    fit: Callable[[], Result], coordinator: StopCoordinator, warning: IdleWarning, stop: Callable[[], bool]
) -> Result:
    """Run ``fit`` to its end; meanwhile forward a stop request, and warn when no worker runs.

    Raises:
        Stopped: a stop was requested, and no worker was there to stop.
    """
    killed = False

    def watch() -> None:
        nonlocal killed
        requested = stop()
        silent_s = coordinator.silent_s(stop=requested)
        if silent_s is None:
            return
        if requested and silent_s > UNHEARD_S:
            killed = coordinator.kill_controller() or killed
        else:
            warning(silent_s)

    try:
        return watched(fit, watch, POLL_EVERY_S)
    except ray.exceptions.RayActorError:
        if not killed:
            raise
        raise Stopped(None) from None


def _run_ray_worker(settings: dict[str, Any]) -> int | None:
    """Train on one of Ray's workers; the step at which it stopped, if it was asked to."""
    settings["probe"].check()
    job: TrainJob = settings["job"]
    startup: Startup = settings["startup"].mark("workers")
    context = ray.train.get_context()
    share = Share(context.get_world_rank(), context.get_world_size())
    hooks = Hooks()
    if share.rank == 0:
        hooks = Hooks(
            report=_export_gauges,
            stop=StopPoll(settings["coordinator"]),
            ready=lambda: startup.mark("network").write(job.folder),
            **settings["hooks"],
        )
    try:
        run_worker(job, share, get_device(), hooks)
    except Stopped as stopped:
        return stopped.step
    return None


def _export_gauges(progress: Progress) -> None:
    """Export a point to Prometheus, on the node of this worker."""
    for name, gauge in _make_gauges().items():
        gauge.set(float(getattr(progress, name)))


@cache
def _make_gauges() -> dict[str, Gauge]:
    return {name: Gauge(f"tunable_train_{name}", description=text) for name, text in GAUGES.items()}


def _describe_cause(error: BaseException) -> str:
    """The last line of a worker's error, without Ray's traceback, and the remedy if it is known."""
    last = _last_line(error)
    if isinstance(error, ray.exceptions.RayActorError):
        return f"Ray's controller of the run died ({last}); run again to resume from the last checkpoint"
    if isinstance(error, ray.train.WorkerGroupError) and (failure := _find_culprit(error)):
        last = str(failure) if is_expected(failure) else _last_line(failure, named=True)
    # A worker with another version may fail to unpickle the job before it can compare versions.
    if "ModuleNotFoundError" in last or "AttributeError: Can't get attribute" in last:
        return f"{last}; install the driver's version of tunable-zoo[pipelines] on every node of the cluster"
    return last


def _find_culprit(error: ray.train.WorkerGroupError) -> Exception | None:
    """The failure that caused the others, if it can be found: when a worker ends, its peers lose it."""
    failures = [error.worker_failures[rank] for rank in sorted(error.worker_failures)]
    causes = [failure for failure in failures if not _lost_peer(failure)]
    return next((failure for failure in causes if is_expected(failure)), causes[0] if causes else None)


def _lost_peer(error: Exception) -> bool:
    """Whether the process group reports that another worker is gone; gloo raises a plain RuntimeError."""
    return isinstance(error, DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _last_line(error: BaseException, *, named: bool = False) -> str:
    text = "".join(traceback.format_exception_only(error)) if named else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
