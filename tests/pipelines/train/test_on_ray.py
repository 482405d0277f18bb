"""One real run on Ray Train: two workers, one of which is killed on the way."""

import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import ray
import torch

from pipelines.config import parse_section
from pipelines.errors import ConfigError
from pipelines.paths import Layout
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import TrainConfig
from pipelines.train.local import run_local
from pipelines.train.on_ray import _check_resources, run_on_ray
from pipelines.train.runlog import RunLog

STEPS = 300


def options(config: TrainConfig, compute: dict[str, object]) -> TrainConfig:
    values = config.model_dump() | {
        "steps": STEPS,
        "checkpoint_every": 20,
        "log_every": 10,
        "compute": compute,
    }
    return parse_section(values, "train", TrainConfig)


def kill_a_worker(log: RunLog, killed: list[int]) -> None:
    """Wait for some steps, then end a training worker without a chance to clean up."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        points, _ = log.read()
        if points and points[-1].step >= 40:
            workers = [
                process
                for process in psutil.Process().children(recursive=True)
                if "RayTrainWorker" in " ".join(process.cmdline())
            ]
            if workers:
                workers[0].send_signal(signal.SIGKILL)
                killed.append(workers[0].pid)
                return
        time.sleep(0.02)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray leaves sockets and files to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_workers_one_killed_end_with_the_numbers_of_one_process(
    config: TrainConfig, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    photos = layout.prepare / "train"
    alone, together = layout.state / "alone", layout.state / "together"
    run_local(options(config, {"runner": "local", "threads": 1}), photos, alone, "print")

    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(RunLog(together), killed))
    killer.start()
    run_on_ray(options(config, {"workers": 2, "threads": 1, "max_failures": 1}), photos, together, "print")
    killer.join()

    assert killed
    assert not ray.is_initialized()
    assert not list((together / "ray").iterdir())
    assert not psutil.pid_exists(killed[0])
    assert steps(together) == steps(alone) == list(range(10, STEPS + 1, 10))
    for name, tensor in final(alone).items():
        torch.testing.assert_close(final(together)[name], tensor, atol=1e-3, rtol=1e-2)


def steps(folder: Path) -> list[int]:
    return [point.step for point in RunLog(folder).curve(STEPS)]


def final(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = CheckpointStore(folder / "checkpoints", "print").load(STEPS)["network"]
    return tensors


def test_more_than_the_cluster_has_is_an_error(config: TrainConfig, layout: Layout) -> None:
    compute = options(config, {"workers": 2, "use_gpu": True}).compute
    with pytest.raises(ConfigError, match="2 GPUs in all, the cluster has 1"):
        _check_resources({"CPU": 4.0, "GPU": 1.0}, compute)
    with pytest.raises(ConfigError, match="2 CPUs in all, the cluster has 1"):
        _check_resources({"CPU": 1.0}, compute)
