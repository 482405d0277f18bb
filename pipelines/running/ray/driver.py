"""The shell that runs the loop on Ray Train workers; the only module that imports ``ray.train``.

Ray places the workers, joins them in a process group, restarts them after a fault and, when they are
elastic, with as many as the cluster has. It sees metrics, never weights: checkpoints are ours
(:mod:`pipelines.training.checkpoint`), because Ray copies its own into place without a mark that they are
whole.
"""

import os
import shutil
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
from ray.train import FailureConfig, Result, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2._internal.execution.callback import ControllerCallback
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
from pipelines.running.ray.capacity import Room
from pipelines.running.ray.flag import ASK_EVERY_S, Flag, Poll
from pipelines.running.ray.gauges import show
from pipelines.running.ray.mark import Mark
from pipelines.running.ray.silence import Silence
from pipelines.running.startup import Startup
from pipelines.running.worker import Assignment, work
from pipelines.training.batches import Share
from pipelines.training.config import ComputeConfig
from pipelines.training.loop import Hooks, Stopped
from pipelines.training.metrics import Progress
from tunable_models import TunableError

LASTING = (ConfigError, CheckpointError, TrainingError, TunableError)
"""Errors that another try would meet again.

No DataError, though a damaged file stays damaged: it is also what a server that is away and a file system
that hesitates become, and those pass. One that is truly damaged costs the restarts, and is told after them.
"""

UNHEARD_S = 30.0
"""When no worker has asked the flag for so long, none is there to stop."""


def run_on_ray(assignment: Assignment, compute: ComputeConfig, hooks: Hooks) -> None:
    """Train to the last step on Ray; checkpoints, log and sample pictures go into the assignment's folder.

    Args:
        assignment: the run; its paths are readable by every worker.
        compute: of the run.
        hooks: of which ``stop`` is asked here and handed on to the workers, and ``at_checkpoint``, which
            must be picklable, is called on worker 0.

    Raises:
        ConfigError: there is no cluster at the address, it is too small, or a node has other code.
        Stopped: ``hooks.stop`` asked to.
        TrainingError: a worker failed more often than ``compute.max_failures`` allows, or the loop itself
            refuses to go on, or a worker's node does not see the folder.
    """
    folder = Path(assignment.folder)
    # A fresh name each time: Ray resumes whatever stands under an old one, whatever the params say now.
    name = f"train-{uuid.uuid4().hex[:12]}"
    # Nobody watches Ray's dashboard here, and without one its state tracking fills the log with complaints.
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    startup = Startup.now()
    try:
        with ray_cluster(compute.address, num_cpus=compute.most_workers * compute.threads) as private:
            _check_room(compute, private=private)
            flag = Flag()
            settings = {
                "assignment": assignment.plain(),
                "mark": Mark.leave(folder / "ray" / name).plain(),
                "flag": flag.handle,
                "startup": startup.mark("cluster").plain(),
                "at_checkpoint": hooks.at_checkpoint,
            }
            trainer = _trainer(compute, settings, folder, name)
            result = _watch(trainer.fit, flag, Silence(compute, flag), hooks.stop)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        if isinstance(error, ray.train.ControllerError) and _is_lasting(error.controller_failure):
            raise error.controller_failure from None
        raise TrainingError(f"training failed on Ray: {_cause(error)}") from error
    finally:
        shutil.rmtree(folder / "ray" / name, ignore_errors=True)  # with the mark
    stopped_at: int | None = result.return_value  # type: ignore[attr-defined]  # the checker sees version 1
    if stopped_at is not None:
        raise Stopped(stopped_at)


def _check_room(compute: ComputeConfig, *, private: bool) -> None:
    """Say when the workers have no room: Ray would wait for it without a word.

    Raises:
        ConfigError: in a private cluster, which does not grow.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    room = Room.of(nodes, compute)
    if room.enough:
        return
    if private:
        raise ConfigError(f"train.compute asks for {room}; lower workers or threads")
    tell(f"train: {room}; waiting for nodes to come")


def _trainer(compute: ComputeConfig, settings: dict[str, Any], folder: Path, name: str) -> TorchTrainer:
    return TorchTrainer(
        _worker,  # type: ignore[arg-type]  # version 1 again
        train_loop_config=settings,
        scaling_config=ScalingConfig(  # type: ignore[call-arg]
            num_workers=compute.workers,  # type: ignore[arg-type]
            use_gpu=compute.use_gpu,
            resources_per_worker={"CPU": compute.threads, **({"GPU": 1} if compute.use_gpu else {})},
            elastic_resize_monitor_interval_s=compute.resize_every_s,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(folder / "ray"),
            failure_config=FailureConfig(max_failures=compute.max_failures),
            callbacks=[_EndsWhatLasts(), _TellsTheFlag(settings["flag"])],  # type: ignore[list-item]
        ),
    )


class _EndsWhatLasts(UserCallback):
    """Ends the run for a fault that another try would meet.

    Ray's controller asks it. What a callback raises is the only error that Ray does not try again.
    """

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        lasting = next((error for error in worker_exceptions.values() if _is_lasting(error)), None)
        if lasting is not None:
            raise lasting


class _TellsTheFlag(ControllerCallback):
    """Gives the flag the handle of Ray's controller; the driver gets none, and has to end it at times.

    Not public, but the only hook before workers run, and Ray hands such callbacks on for uses like this.
    """

    def __init__(self, flag: Any) -> None:
        self._flag = flag

    def after_controller_start(self, train_run_context: Any) -> None:
        self._flag.controlled_by.remote(ray.get_runtime_context().current_actor)


def _is_lasting(error: Exception) -> bool:
    # A loader's end is a TrainingError too; but it may pass, as a server that is away.
    return isinstance(error, LASTING) and not isinstance(error, LoaderError)


def _watch(fit: Callable[[], Result], flag: Flag, silence: Silence, stop: Callable[[], bool]) -> Result:
    """Run ``fit`` to its end, hand a wish to stop on while it runs, and say when nobody is there.

    Raises:
        Stopped: somebody asked to, and there is no worker that could.
    """
    ended = False

    def look() -> None:
        nonlocal ended
        wished = stop()
        silent_s = flag.silent_s(up=wished)
        if silent_s is None:
            return
        if wished and silent_s > UNHEARD_S:
            ended = flag.end() or ended
        else:
            silence(silent_s)

    try:
        return watched(fit, look, ASK_EVERY_S)
    except ray.exceptions.RayActorError:
        if not ended:
            raise
        raise Stopped(None) from None


def _worker(settings: dict[str, Any]) -> int | None:
    """Train on one of Ray's workers; the step behind whose checkpoint it was asked to stop, if it was."""
    Mark(**settings["mark"]).require()
    assignment = Assignment(**settings["assignment"])
    startup = Startup(**settings["startup"]).mark("workers")
    context = ray.train.get_context()
    share = Share(context.get_world_rank(), context.get_world_size())
    every, last = assignment.config["checkpoint_every"], assignment.config["steps"]

    def report(progress: Progress) -> None:
        if share.rank == 0:
            show(progress)
        if progress.step % every == 0 or progress.step == last:
            _report(progress)

    leading = Hooks(
        report=report,
        stop=Poll(settings["flag"]),
        at_checkpoint=settings["at_checkpoint"],
        ready=lambda: startup.mark("network").write(Path(assignment.folder)),
    )
    try:
        work(assignment, share, get_device(), leading if share.rank == 0 else Hooks(report=report))
    except Stopped as stopped:
        return stopped.step
    return None


def _report(progress: Progress) -> None:
    """To Ray; all workers wait here, and for Ray's controller, which looks every two seconds."""
    ray.train.report({"step": progress.step, "loss": progress.loss, "images_per_s": progress.images_per_s})


def _cause(error: BaseException) -> str:
    """The last line of what a worker said, not Ray's whole traceback; and what helps, if it is known."""
    last = _last_line(error)
    if isinstance(error, ray.exceptions.RayActorError):
        return f"Ray's controller of the run died ({last}); run again to go on from the last checkpoint"
    if isinstance(error, ray.train.WorkerGroupError) and (failure := _culprit(error)):
        last = str(failure) if is_expected(failure) else _last_line(failure, named=True)
    if "ModuleNotFoundError" in last:
        return f"{last}; install tunable-zoo[pipelines] on every node of the cluster"
    return last


def _culprit(error: ray.train.WorkerGroupError) -> Exception | None:
    """The failure that the others follow from, if it can be told: when a worker ends, its peers lose it."""
    failures = [error.worker_failures[rank] for rank in sorted(error.worker_failures)]
    causes = [failure for failure in failures if not _lost_peer(failure)]
    return next((failure for failure in causes if is_expected(failure)), causes[0] if causes else None)


def _lost_peer(error: Exception) -> bool:
    """Whether the process group says that another worker is gone; of gloo it is a plain RuntimeError."""
    return isinstance(error, DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _last_line(error: BaseException, *, named: bool = False) -> str:
    text = "".join(traceback.format_exception_only(error)) if named else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
