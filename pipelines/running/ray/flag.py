"""What driver and workers of a run on Ray tell each other while it goes on, whatever disks they share.

The driver raises a flag when somebody asks it to stop. Workers ask for it now and then, by which the driver
knows that they are there. Ray's controller of the run leaves its handle, by which a run without workers ends.
"""

import threading
import time
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.running.ray.capacity import Resources

ASK_EVERY_S = 0.5
ANSWER_WITHIN_S = 2.0
"""A driver that waited longer for Ray would not hear Ctrl-C."""


class Flag:
    """The driver's end; it lives on the driver's node, so that it lives as long as the driver.

    Attributes:
        handle: for workers, see :class:`Poll`; and for the controller, which tells ``controlled_by`` itself.
    """

    def __init__(self) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.handle: Any = _Flag.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]

    def silent_s(self, *, up: bool) -> float | None:
        """Seconds since a worker last asked, or since the flag was made; raises the flag with ``up``.

        None if Ray is busy, or ending.
        """
        silent_s: float | None = _answer(self.handle.silent_s, up)
        return silent_s

    def free(self) -> Resources | None:
        """What the cluster has left, by Ray's names. None if Ray is busy, or ending."""
        free: Resources | None = _answer(self.handle.free)
        return free

    def end(self) -> bool:
        """End the run's controller, and with it what waits for it. False if none is known."""
        return bool(_answer(self.handle.end))


def _answer(method: Any, *values: object) -> Any:
    try:
        return ray.get(method.remote(*values), timeout=ANSWER_WITHIN_S)
    except ray.exceptions.RayError:
        return None


@ray.remote(num_cpus=0)
class _Flag:
    def __init__(self) -> None:
        self._up, self._asked = False, time.monotonic()
        self._controller: Any = None

    def controlled_by(self, controller: Any) -> None:
        self._controller = controller

    def end(self) -> bool:
        if self._controller is None:
            return False
        ray.kill(self._controller)
        return True

    def silent_s(self, up: bool) -> float:
        self._up = self._up or up
        return time.monotonic() - self._asked

    def free(self) -> Resources:
        # Here and not in the driver, where nothing bounds how long it takes.
        return dict(ray.available_resources())  # type: ignore[no-untyped-call]

    def is_up(self) -> bool:
        self._asked = time.monotonic()
        return self._up


class Poll:
    """On a worker: asks the flag now and then, in a thread; called, it gives the last answer."""

    def __init__(self, handle: Any) -> None:
        self._handle, self._up = handle, False
        threading.Thread(target=self._ask, name="stop-flag", daemon=True).start()

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._up

    def _ask(self) -> None:
        while True:  # also when it is up, so that the driver knows that somebody still stops
            try:
                self._up = ray.get(self._handle.is_up.remote())
            except ray.exceptions.RayError:
                return  # the driver is gone, and Ray ends this worker too
            time.sleep(ASK_EVERY_S)
