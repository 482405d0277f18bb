"""The shell that runs the loop on Ray Train workers; the only module that imports ``ray.train``.

Ray places the workers, joins them in a process group, restarts them after a fault and, when they are
elastic, with as many as the cluster has. It sees metrics, never weights: checkpoints are ours
(:mod:`pipelines.train.checkpoint`), because Ray copies its own into place without a mark that they are
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
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from torch.distributed import DistError

from pipelines.cluster import ray_cluster, watched
from pipelines.errors import (
    CheckpointError,
    ConfigError,
    DivergedError,
    LoaderError,
    TrainingError,
    is_expected,
)
from pipelines.progress import tell
from pipelines.records import read_json, write_json_atomic
from pipelines.train.batches import Share
from pipelines.train.config import ComputeConfig
from pipelines.train.flag import ASK_EVERY_S, Flag, Poll, refuse
from pipelines.train.gauges import show
from pipelines.train.loop import Hooks, Stopped
from pipelines.train.mark import Mark
from pipelines.train.meter import Progress
from pipelines.train.room import Room
from pipelines.train.silence import Silence
from pipelines.train.startup import Startup
from pipelines.train.worker import Assignment, work
from tunable_models import TunableError

OUTCOME = "outcome.json"
"""What workers leave when they end before the last step: ``{"fault": sentence}`` or ``{"stopped": step}``."""

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
    (folder / OUTCOME).unlink(missing_ok=True)
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
            _watch(trainer.fit, flag, Silence(compute, flag), hooks.stop)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        _look_at_outcome(folder / OUTCOME)
        raise TrainingError(f"training failed on Ray: {_cause(error)}") from error
    finally:
        shutil.rmtree(folder / "ray" / name, ignore_errors=True)  # with the mark
    _look_at_outcome(folder / OUTCOME)


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
        _worker,
        train_loop_config=settings,
        scaling_config=ScalingConfig(  # type: ignore[call-arg]  # the checker sees version 1
            num_workers=compute.workers,  # type: ignore[arg-type]
            use_gpu=compute.use_gpu,
            resources_per_worker={"CPU": compute.threads, **({"GPU": 1} if compute.use_gpu else {})},
            elastic_resize_monitor_interval_s=compute.resize_every_s,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(folder / "ray"),
            failure_config=FailureConfig(max_failures=compute.max_failures),
        ),
    )


def _watch(fit: Callable[[], object], flag: Flag, silence: Silence, stop: Callable[[], bool]) -> None:
    """Run ``fit`` to its end, hand a wish to stop on while it runs, and say when nobody is there.

    Raises:
        Stopped: somebody asked to, and there is no worker that could.
        TrainingError: a worker cannot reach the run's folder.
    """

    def look() -> None:
        wished = stop()
        news = flag.news(up=wished)
        if news is None:
            return
        # What is raised here ends what Ray has begun.
        if news.refusal is not None:
            raise TrainingError(news.refusal)
        if wished and news.silent_s > UNHEARD_S:
            raise Stopped(None)
        silence(news.silent_s)

    watched(fit, look, ASK_EVERY_S)


def _worker(settings: dict[str, Any]) -> None:
    _require_mark(settings)
    assignment = Assignment(**settings["assignment"])
    if (Path(assignment.folder) / OUTCOME).exists():
        return  # one of the workers before this one said why the run is over
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
        hooks = leading if share.rank == 0 else Hooks(report=report)
        work(assignment, share, get_device(), hooks)
    except Stopped as stopped:
        _leave(assignment, {"stopped": stopped.step})
    except LoaderError:
        raise  # and be started again, as after everything that may pass, such as a server that is away
    except LASTING as error:
        # The same steps would fail in the same way, so whoever is started again only finds this.
        try:
            _leave(assignment, {"fault": str(error), "diverged": isinstance(error, DivergedError)})
        except OSError:  # the fault may be that very disk
            refuse(settings["flag"], str(error))
            raise error from None
        if share.count > 1:
            raise  # the others may be waiting for this one


def _require_mark(settings: dict[str, Any]) -> None:
    """Refuse to begin on a node that does not see the driver's folder.

    Raises:
        TrainingError: it does not.
    """
    try:
        Mark(**settings["mark"]).require()
    except TrainingError as error:
        # Not by the outcome, which nobody would find; and Ray alone would try again before it tells.
        refuse(settings["flag"], str(error))
        raise


def _report(progress: Progress) -> None:
    """To Ray; all workers wait here, and for Ray's controller, which looks every two seconds."""
    ray.train.report({"step": progress.step, "loss": progress.loss, "images_per_s": progress.images_per_s})


def _leave(assignment: Assignment, outcome: dict[str, Any]) -> None:
    write_json_atomic(Path(assignment.folder) / OUTCOME, outcome)


def _look_at_outcome(path: Path) -> None:
    if not path.exists():
        return
    outcome = read_json(path)
    if "stopped" in outcome:
        raise Stopped(outcome["stopped"])
    raise (DivergedError if outcome.get("diverged") else TrainingError)(outcome["fault"])


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
