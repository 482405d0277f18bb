"""On a cluster of its own, whose only CPU is taken."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import ray

from pipelines.cluster import ray_cluster
from pipelines.train import silence
from pipelines.train.config import ComputeConfig
from pipelines.train.flag import Flag, Poll
from pipelines.train.silence import Silence

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray leaves sockets and files to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MISSING = (
    "train: no worker is running: 2 workers with 1 CPUs each asked for, free now: 0 CPUs, 0 GPUs; waiting\n"
)


def test_it_is_told_once_that_no_worker_runs_and_once_that_they_are_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(silence, "SILENT_S", 2.0)

    class Worker:
        def __init__(self, handle: Any) -> None:
            self._poll = Poll(handle)

        def up(self) -> bool:
            return self._poll()

    worker_class: Any = ray.remote(num_cpus=0)(Worker)
    with ray_cluster(None, num_cpus=1, num_gpus=0):
        holder = ray.remote(num_cpus=1)(dict).remote()
        ray.get(holder.__ray_ready__.remote())
        flag = Flag()
        watch = Silence(ComputeConfig(workers=2), flag)
        until(flag, watch, lambda silent_s: silent_s > 2.5)
        assert capsys.readouterr().out == MISSING

        worker = worker_class.remote(flag.handle)
        until(flag, watch, lambda silent_s: silent_s < 1)
        assert capsys.readouterr().out == "train: workers are running\n"
        assert not ray.get(worker.up.remote())
        until(flag, watch, lambda _: ray.get(worker.up.remote()), up=True)

        ray.kill(worker)
        until(flag, watch, lambda silent_s: silent_s > 2.5)
        assert capsys.readouterr().out == MISSING


def until(flag: Flag, watch: Silence, true: Callable[[float], bool], *, up: bool = False) -> None:
    """Look as the driver does, until it is so."""
    end = time.monotonic() + 200
    while time.monotonic() < end:
        silent_s = flag.silent_s(up=up)
        if silent_s is not None:
            watch(silent_s)
            if true(silent_s):
                return
        time.sleep(0.2)
    raise AssertionError("it did not come")
