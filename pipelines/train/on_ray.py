"""The shell that runs the loop on Ray Train workers; the only module that imports ``ray.train``.

Ray places the workers, joins them in a process group, restarts them after a fault and, when they are
elastic, with as many as the cluster has. It sees metrics, never weights: checkpoints are ours
(:mod:`pipelines.train.checkpoint`), because Ray copies its own into place without a mark that they are
whole.
"""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.cluster import ray_cluster, watched
from pipelines.errors import CheckpointError, ConfigError, DivergedError, LoaderError, TrainingError
from pipelines.progress import tell
from pipelines.records import read_json, write_json_atomic
from pipelines.train.batches import Share
from pipelines.train.config import ComputeConfig
from pipelines.train.gauges import show
from pipelines.train.loop import Hooks, Stopped
from pipelines.train.meter import Progress
from pipelines.train.room import Room
from pipelines.train.startup import Startup
from pipelines.train.worker import Assignment, work
from tunable_models import TunableError

OUTCOME = "outcome.json"
"""What workers leave when they end before the last step: ``{"fault": sentence}`` or ``{"stopped": step}``."""

LASTING = (ConfigError, CheckpointError, TrainingError, TunableError)
"""Errors that another try would meet again."""

ASK_EVERY_S = 0.5
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
            refuses to go on.
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
            flag = _flag_here()
            settings = {
                "assignment": assignment.plain(),
                "flag": flag,
                "startup": startup.mark("cluster").plain(),
                "at_checkpoint": hooks.at_checkpoint,
            }
            trainer = _trainer(compute, settings, folder, name)
            _watch(trainer.fit, flag, hooks.stop)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        _look_at_outcome(folder / OUTCOME)
        raise TrainingError(f"training failed on Ray: {_cause(error)}") from error
    finally:
        shutil.rmtree(folder / "ray" / name, ignore_errors=True)
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


def _watch(fit: Callable[[], object], flag: Any, stop: Callable[[], bool]) -> None:
    """Run ``fit`` to its end, and hand a wish to stop on while it runs.

    Raises:
        Stopped: somebody asked to, and there is no worker that could.
    """

    def look() -> None:
        if stop() and _raise_flag(flag) > UNHEARD_S:
            raise Stopped(None)  # which ends what Ray has begun

    watched(fit, look, ASK_EVERY_S)


def _raise_flag(flag: Any) -> float:
    """Tell the workers to stop; seconds since the last of them asked."""
    try:
        return float(ray.get(flag.set.remote()))
    except ray.exceptions.RayError:  # Ray is ending, and with it what would have to be told
        return 0.0


@ray.remote(num_cpus=0)
class _Flag:
    """Whether somebody asked the driver to stop, for workers on other machines."""

    def __init__(self) -> None:
        self._up, self._asked = False, time.monotonic()

    def set(self) -> float:
        self._up = True
        return time.monotonic() - self._asked

    def is_up(self) -> bool:
        self._asked = time.monotonic()
        return self._up


def _flag_here() -> Any:
    """A flag on the driver's node, so that it lives as long as the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return _Flag.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]


class _Poll:
    """Asks the flag now and then, in a thread; called, it gives the last answer."""

    def __init__(self, flag: Any) -> None:
        self._flag, self._up = flag, False
        threading.Thread(target=self._ask, name="stop-flag", daemon=True).start()

    def __call__(self) -> bool:
        return self._up

    def _ask(self) -> None:
        while True:  # also when it is up, so that the driver knows that somebody still stops
            try:
                self._up = ray.get(self._flag.is_up.remote())
            except ray.exceptions.RayError:
                return  # the driver is gone, and Ray ends this worker too
            time.sleep(ASK_EVERY_S)


def _worker(settings: dict[str, Any]) -> None:
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
        stop=_Poll(settings["flag"]),
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
        _leave(assignment, {"fault": str(error), "diverged": isinstance(error, DivergedError)})
        if share.count > 1:
            raise  # the others may be waiting for this one


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
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    if isinstance(error, ray.exceptions.RayActorError):
        return f"Ray's controller of the run died ({last}); run again to go on from the last checkpoint"
    if "ModuleNotFoundError" in last:
        return f"{last}; install tunable-zoo[pipelines] on every node of the cluster"
    return last
