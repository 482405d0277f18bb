"""Control channel between the Ray driver and its workers: stop requests, heartbeats, shared-directory probe.

The driver raises a stop request on an actor that workers poll, by which the driver knows that they run. Ray's
controller of the run registers itself there, so that a run without workers can be ended. Before it trains, a
worker checks that its node sees the driver's directory: on a node that does not share the driver's disk it
would train to the end on its own, and the driver would find nothing.
"""

import platform
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.core.errors import TrainingError
from pipelines.core.records import write_atomic
from pipelines.running.ray.capacity import Resources

POLL_EVERY_S = 0.5
ANSWER_WITHIN_S = 2.0
"""A driver that waited longer for Ray would not react to Ctrl-C."""

PROBE_FILE = "mark"
VISIBLE_WITHIN_S = 5.0
"""A file that another node wrote appears late on NFS, which caches missing files."""
LOOK_EVERY_S = 0.1


class StopCoordinator:
    """The driver's end of the channel, on the driver's node, so that it lives as long as the driver.

    Attributes:
        handle: of the actor, for :class:`StopPoll` on workers and for Ray's controller.
    """

    def __init__(self) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.handle: Any = _Coordinator.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]

    def silent_s(self, *, stop: bool) -> float | None:
        """Seconds since a worker last polled, or since the start; with ``stop`` also request a stop.

        None if Ray is busy, or ending.
        """
        silent_s: float | None = _call(self.handle.silent_s, stop)
        return silent_s

    def free_resources(self) -> Resources | None:
        """Free resources of the cluster, by Ray's names. None if Ray is busy, or ending."""
        free: Resources | None = _call(self.handle.free_resources)
        return free

    def kill_controller(self) -> bool:
        """Kill the run's controller, and so end the run. False if none has registered."""
        return bool(_call(self.handle.kill_controller))


def _call(method: Any, *values: object) -> Any:
    try:
        return ray.get(method.remote(*values), timeout=ANSWER_WITHIN_S)
    except ray.exceptions.RayError:
        return None


@ray.remote(num_cpus=0)
class _Coordinator:
    def __init__(self) -> None:
        self._stop, self._polled = False, time.monotonic()
        self._controller: Any = None

    def register_controller(self, controller: Any) -> None:
        self._controller = controller

    def kill_controller(self) -> bool:
        if self._controller is None:
            return False
        ray.kill(self._controller)
        return True

    def silent_s(self, stop: bool) -> float:
        self._stop = self._stop or stop
        return time.monotonic() - self._polled

    def free_resources(self) -> Resources:
        # Here and not in the driver, where the duration of this call has no bound.
        return dict(ray.available_resources())  # type: ignore[no-untyped-call]

    def poll(self) -> bool:
        self._polled = time.monotonic()
        return self._stop


class StopPoll:
    """On a worker: polls the coordinator in a thread; called, it returns the last answer."""

    def __init__(self, handle: Any) -> None:
        self._handle, self._stop = handle, False
        threading.Thread(target=self._poll, name="stop-poll", daemon=True).start()

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._stop

    def _poll(self) -> None:
        while True:  # also after a request, so that the driver knows that a worker is still stopping
            try:
                self._stop = ray.get(self._handle.poll.remote())
            except ray.exceptions.RayError:
                return  # the driver is gone, and Ray ends this worker too
            time.sleep(POLL_EVERY_S)


@dataclass(frozen=True)
class DirectoryProbe:
    """A file with a random token, by which a worker recognizes the driver's directory; picklable.

    Attributes:
        folder: which holds the file, as the driver names it.
        token: content of the file.
    """

    folder: Path
    token: str

    @classmethod
    def write(cls, folder: Path) -> Self:
        """A new probe, in a folder that is created if need be; removing the folder removes the probe."""
        probe = cls(folder, secrets.token_hex(16))
        write_atomic(folder / PROBE_FILE, probe.token.encode())
        return probe

    def check(self) -> None:
        """Read the probe from the caller's node.

        Raises:
            TrainingError: for ``VISIBLE_WITHIN_S`` it is missing, unreadable or another one.
        """
        until = time.monotonic() + VISIBLE_WITHIN_S
        while failure := self._read_failure():
            if time.monotonic() > until:
                raise TrainingError(
                    f"expected node {platform.node()} to see the driver's folder {self.folder}, got: "
                    f"{failure}; put the work tree on storage that every node mounts at the same path "
                    "('tunable doctor' checks it)"
                )
            time.sleep(LOOK_EVERY_S)

    def _read_failure(self) -> str:
        """Why the probe cannot be read; empty if it can."""
        try:
            token = (self.folder / PROBE_FILE).read_bytes()
        except OSError as error:
            return f"{error.strerror or error}"
        return "" if token == self.token.encode() else "another file"
