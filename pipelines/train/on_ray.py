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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device

from pipelines.cluster import ray_cluster
from pipelines.errors import ConfigError, PipelineError, TrainingError
from pipelines.records import read_json, write_json_atomic
from pipelines.train.batches import Share
from pipelines.train.config import ComputeConfig
from pipelines.train.gauges import show
from pipelines.train.loop import Hooks, Stopped
from pipelines.train.meter import Progress
from pipelines.train.startup import Startup
from pipelines.train.worker import Assignment, work
from tunable_models import TunableError

OUTCOME = "outcome.json"
"""What the workers leave when they end by themselves: ``{"fault": sentence}`` or ``{"stopped": step}``."""

ASK_EVERY_S = 0.5


def run_on_ray(assignment: Assignment, compute: ComputeConfig, hooks: Hooks) -> None:
    """Train to the last step on Ray; checkpoints, log and sample pictures go into the assignment's folder.

    Args:
        assignment: the run; its paths are readable by every worker.
        compute: of the run.
        hooks: of which ``stop`` is asked here, and handed on to the workers.

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
        with ray_cluster(compute.address, num_cpus=compute.most_workers * compute.threads):
            _check_resources(ray.cluster_resources(), compute)  # type: ignore[no-untyped-call]
            flag = _Flag.remote()  # type: ignore[attr-defined]
            settings = {
                "assignment": assignment.plain(),
                "flag": flag,
                "startup": startup.mark("cluster").plain(),
            }
            trainer = _trainer(compute, settings, folder, name)
            _watch(trainer.fit, lambda: ray.get(flag.set.remote()), hooks.stop)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        raise TrainingError(f"training failed on Ray: {_cause(error)}") from error
    finally:
        shutil.rmtree(folder / "ray" / name, ignore_errors=True)
    _look_at_outcome(folder / OUTCOME)


def _check_resources(resources: Mapping[str, float], compute: ComputeConfig) -> None:
    # Ray would wait for them without a word.
    workers = compute.least_workers
    asked = {"CPU": workers * compute.threads, "GPU": workers if compute.use_gpu else 0}
    for kind, count in asked.items():
        if resources.get(kind, 0) < count:
            raise ConfigError(
                f"train.compute asks for {count} {kind}s in all, the cluster has {resources.get(kind, 0):g}; "
                "lower workers or threads, or join a larger cluster"
            )


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


def _watch(fit: Callable[[], object], tell: Callable[[], object], stop: Callable[[], bool]) -> None:
    """Run ``fit`` to its end in a thread, and hand a wish to stop on while it runs.

    In the main thread Ray would take Ctrl-C for itself, and end the workers where they are.
    """
    faults: list[BaseException] = []

    def body() -> None:
        try:
            fit()
        except BaseException as error:  # handed to the thread that waits
            faults.append(error)

    thread = threading.Thread(target=body, name="ray-train", daemon=True)
    thread.start()
    told = False
    while thread.is_alive():
        thread.join(ASK_EVERY_S)
        if stop() and not told:
            told = True
            tell()
    if faults:
        raise faults[0]


@ray.remote(num_cpus=0)
class _Flag:
    """Whether somebody asked the driver to stop, for workers on other machines."""

    def __init__(self) -> None:
        self._up = False

    def set(self) -> None:
        self._up = True

    def is_up(self) -> bool:
        return self._up


class _Poll:
    """Asks the flag now and then, in a thread; called, it gives the last answer."""

    def __init__(self, flag: Any) -> None:
        self._flag, self._up = flag, False
        threading.Thread(target=self._ask, name="stop-flag", daemon=True).start()

    def __call__(self) -> bool:
        return self._up

    def _ask(self) -> None:
        while not self._up:
            try:
                self._up = ray.get(self._flag.is_up.remote())
            except ray.exceptions.RayError:
                return  # the driver is gone, and Ray ends this worker too
            time.sleep(ASK_EVERY_S)


def _worker(settings: dict[str, Any]) -> None:
    assignment = Assignment(**settings["assignment"])
    startup = Startup(**settings["startup"]).mark("workers")
    context = ray.train.get_context()
    share = Share(context.get_world_rank(), context.get_world_size())
    leading = Hooks(
        report=_report,
        stop=_Poll(settings["flag"]),
        ready=lambda: startup.mark("network").write(Path(assignment.folder)),
    )
    try:
        hooks = leading if share.rank == 0 else Hooks(report=_report)
        work(assignment, share, get_device(), hooks)
    except Stopped as stopped:
        _leave(assignment, {"stopped": stopped.step})
    except (PipelineError, TunableError) as error:
        # The same steps would fail in the same way: hand the reason over instead of being restarted.
        _leave(assignment, {"fault": str(error)})


def _report(progress: Progress) -> None:
    """To Ray, which waits here for all workers, and to Prometheus."""
    if ray.train.get_context().get_world_rank() == 0:
        show(progress)
    ray.train.report({"step": progress.step, "loss": progress.loss, "images_per_s": progress.images_per_s})


def _leave(assignment: Assignment, outcome: dict[str, Any]) -> None:
    write_json_atomic(Path(assignment.folder) / OUTCOME, outcome)


def _look_at_outcome(path: Path) -> None:
    if not path.exists():
        return
    outcome = read_json(path)
    if "stopped" in outcome:
        raise Stopped(outcome["stopped"])
    raise TrainingError(outcome["fault"])


def _cause(error: BaseException) -> str:
    """The last line of what a worker said, not Ray's whole traceback; and what helps, if it is known."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    if isinstance(error, ray.exceptions.RayActorError):
        return f"Ray's controller of the run died ({last}); run again to go on from the last checkpoint"
    if "ModuleNotFoundError" in last:
        return f"{last}; install tunable-zoo[pipelines] on every node of the cluster"
    return last
