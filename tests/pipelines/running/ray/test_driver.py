"""Runs on Ray Train whose processes are killed, each on a cluster of its own; how causes are named."""

import pickle
from pathlib import Path

import psutil
import pytest
import ray
import torch
from torch.distributed import DistBackendError

from pipelines.core.errors import DataError, TrainingError
from pipelines.core.layout import Layout
from pipelines.running.local import run_local
from pipelines.running.ray.driver import _describe_cause, run_on_ray
from pipelines.running.startup import read_startup
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks
from ray_runs import STEPS, at_step, hold_until, kill_process, make_job, options_of
from tunable_models import TunableError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("patient_driver")]


def test_two_workers_one_killed_end_with_the_numbers_of_one_process(
    config: TrainConfig, layout: Layout
) -> None:
    one = options_of(config, {"runner": "local", "threads": 1})
    run_local(make_job(one, layout, "alone"), Hooks())

    two = options_of(config, {"workers": 2, "threads": 1, "max_failures": 1})
    together, alone = layout.state / "together", layout.state / "alone"
    killed, sign = list[int](), layout.root / "killed"
    killer = at_step(
        RunLog(together), 50, lambda: kill_process("RayTrainWorker", killed) and sign.touch() is None
    )
    run_on_ray(make_job(two, layout, "together"), hold_until(sign))
    killer.join()

    assert not ray.is_initialized()
    assert not list((together / "ray").iterdir())
    assert not psutil.pid_exists(killed[0])
    assert steps(together) == steps(alone) == list(range(10, STEPS + 1, 10))
    assert set(read_startup(together)) == {"cluster", "workers", "network"}
    for name, tensor in final(alone).items():
        torch.testing.assert_close(final(together)[name], tensor, atol=1e-3, rtol=1e-2)


def steps(folder: Path) -> list[int]:
    return [point.step for point in RunLog(folder).curve(STEPS)]


def final(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = CheckpointStore(folder / "checkpoints", "print").load(STEPS)["network"]
    return tensors


@pytest.mark.faults
def test_a_controller_that_dies_is_told_and_the_next_one_carries_on(
    config: TrainConfig, layout: Layout
) -> None:
    one = options_of(config, {"workers": 1, "threads": 1})
    job, folder = make_job(one, layout, "run"), layout.state / "run"
    killed: list[int] = []
    killer = at_step(RunLog(folder), 50, lambda: kill_process("TrainController", killed))
    with pytest.raises(TrainingError, match="controller"):
        run_on_ray(job, hold_until(layout.root / "never"))
    killer.join()
    assert CheckpointStore(folder / "checkpoints", "print").newest() == 50
    run_on_ray(job, Hooks())
    points = RunLog(folder).read()[0]
    assert {point.step for point in points} == set(range(10, STEPS + 1, 10))
    assert len(points) - len({point.step for point in points}) <= 10  # since the last checkpoints


def test_causes_are_one_sentence_with_what_helps() -> None:
    missing = RuntimeError("Traceback\n  ...\nModuleNotFoundError: No module named 'pipelines'")
    assert _describe_cause(missing).endswith("tunable-zoo[pipelines] on every node of the cluster")
    assert _describe_cause(RuntimeError("a\nb\n")) == "b"


LOST = RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:18150. GLHF!")


@pytest.mark.parametrize(
    ("failures", "cause"),
    [
        (
            [LOST, ValueError("odd"), DataError("a shard is damaged; prepare again")],
            "a shard is damaged; prepare again",
        ),
        ([LOST, TunableError("expected 2 controls, got 3")], "expected 2 controls, got 3"),
        ([LOST, ValueError("odd\nsize")], "size"),
        ([DistBackendError("NCCL error"), MemoryError("no more")], "MemoryError: no more"),
        ([LOST, DistBackendError("NCCL error")], "of rank 1"),
    ],
)
def test_the_worker_that_failed_first_is_named_and_not_those_that_lost_it(
    failures: list[Exception], cause: str
) -> None:
    error = ray.train.WorkerGroupError("of rank 0\nof rank 1", dict(enumerate(failures)))
    assert _describe_cause(pickle.loads(pickle.dumps(error))) == cause
