"""Real runs on Ray Train: workers are killed on the way, asked to stop, and meet faults."""

import pickle
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import torch
from torch.distributed import DistBackendError

from pipelines.cluster import ray_cluster
from pipelines.config import parse_section
from pipelines.errors import ConfigError, DataError, DivergedError, TrainingError
from pipelines.paths import Layout
from pipelines.train import on_ray, silence
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import TrainConfig
from pipelines.train.local import run_local
from pipelines.train.loop import Hooks, Stopped
from pipelines.train.mark import Mark
from pipelines.train.on_ray import _cause, run_on_ray
from pipelines.train.runlog import RunLog
from pipelines.train.startup import read_startup
from pipelines.train.worker import Assignment
from tunable_models import TunableError, TunableNetwork

STEPS = 300

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray leaves sockets and files to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def options(config: TrainConfig, compute: dict[str, Any]) -> TrainConfig:
    values = config.model_dump() | {
        "steps": STEPS,
        "checkpoint_every": 50,
        "log_every": 10,
        "compute": compute,
    }
    return parse_section(values, "train", TrainConfig)


def assign(config: TrainConfig, layout: Layout, folder: str) -> Assignment:
    photos = (layout.prepare / "train", layout.prepare / "validation")
    return Assignment.of(config, *photos, layout.state / folder, "print", layout.root)


def at_step(log: RunLog, step: int, act: Callable[[], bool]) -> threading.Thread:
    """A thread that acts when the log has that step, again until it worked."""

    def watch() -> None:
        end = time.monotonic() + 400
        while time.monotonic() < end:
            points, _ = log.read()
            if points and points[-1].step >= step and act():
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def kill(name: str, killed: list[int]) -> bool:
    """End one of Ray's processes without a chance to clean up."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # one that has just ended
            if name in " ".join(process.cmdline()):
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)
                return True
    return False


def scrape(text: list[str]) -> bool:
    """What Prometheus would get of this node."""
    port = ray.nodes()[0]["MetricsExportPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        page = answer.read().decode()
    text[:] = [line for line in page.splitlines() if line.startswith("ray_tunable_train_")]
    return bool(text)


def test_two_workers_one_killed_end_with_the_numbers_of_one_process(
    config: TrainConfig, layout: Layout
) -> None:
    one = options(config, {"runner": "local", "threads": 1})
    run_local(assign(one, layout, "alone"), one.compute, Hooks())

    two = options(config, {"workers": 2, "threads": 1, "max_failures": 1})
    together, alone = layout.state / "together", layout.state / "alone"
    killed: list[int] = []
    killer = at_step(RunLog(together), 60, lambda: kill("RayTrainWorker", killed))
    run_on_ray(assign(two, layout, "together"), two.compute, Hooks())
    killer.join()

    assert killed
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


def test_asked_to_stop_it_stops_behind_a_checkpoint(config: TrainConfig, layout: Layout) -> None:
    long = options(config, {"workers": 1, "threads": 1}).model_copy(update={"steps": 100_000})
    assignment, folder = assign(long, layout, "run"), layout.state / "run"
    asked, metrics = list[bool](), list[str]()
    scraper = at_step(RunLog(folder), 30, lambda: scrape(metrics))
    stopper = at_step(RunLog(folder), 60, lambda: bool(metrics) and asked.append(True) is None)
    with pytest.raises(Stopped) as stopped:
        run_on_ray(assignment, long.compute, Hooks(stop=lambda: bool(asked)))
    scraper.join()
    stopper.join()
    assert stopped.value.step >= 60
    assert CheckpointStore(folder / "checkpoints", "print").newest() == stopped.value.step
    assert any(line.startswith("ray_tunable_train_loss{") for line in metrics)


def test_a_fault_of_one_of_two_workers_that_would_come_again_ends_the_run(
    config: TrainConfig, layout: Layout
) -> None:
    """The other one waits for the next gradients, and nobody is started again."""
    two = options(config, {"workers": 2, "threads": 1, "max_failures": 3})
    tries = layout.root / "tries"

    def diverge(step: int, network: TunableNetwork) -> None:
        with tries.open("a") as file:
            file.write(f"{step}\n")
        raise DivergedError("the score is nan")

    with pytest.raises(DivergedError, match=r"^the score is nan$"):
        run_on_ray(assign(two, layout, "run"), two.compute, Hooks(at_checkpoint=diverge))
    assert tries.read_text() == "50\n"


def test_a_node_that_does_not_see_the_folder_is_told_before_it_trains_on_its_own(
    config: TrainConfig, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = options(config, {"workers": 1, "threads": 1, "max_failures": 3})
    elsewhere = Mark(str(layout.root / "elsewhere"), "word")
    monkeypatch.setattr(Mark, "leave", lambda folder: elsewhere)
    # From its beginning: by the worker itself, and not by Ray after three more tries.
    with pytest.raises(TrainingError, match=r"^expected node .* to see the driver's folder .*elsewhere"):
        run_on_ray(assign(one, layout, "run"), one.compute, Hooks())
    assert not (layout.state / "run" / "checkpoints").exists()


def test_a_cluster_without_room_is_told_and_a_wish_to_stop_ends_the_wait(
    config: TrainConfig,
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(silence, "SILENT_S", 2.0)
    monkeypatch.setattr(on_ray, "UNHEARD_S", 3.0)
    one, said = options(config, {"workers": 1, "threads": 1}), list[str]()

    def stop() -> bool:
        said.append(capsys.readouterr().out)
        return "no worker is running: 1 workers with 1 CPUs each asked for, free now: 0 CPUs" in "".join(said)

    with ray_cluster(None, num_cpus=1):
        holder = ray.remote(num_cpus=1)(dict).remote()
        ray.get(holder.__ray_ready__.remote())
        with pytest.raises(Stopped) as stopped:
            run_on_ray(assign(one, layout, "run"), one.compute, Hooks(stop=stop))
    assert stopped.value.step is None
    assert "".join(said).count("no worker is running") == 1


def test_a_gpu_that_is_not_there_is_told(config: TrainConfig, layout: Layout) -> None:
    one = options(config, {"workers": 1, "use_gpu": True})
    with pytest.raises(
        ConfigError, match="1 workers with 1 CPUs and 1 GPU each; 1 nodes with 1 CPUs, 0 GPUs"
    ):
        run_on_ray(assign(one, layout, "run"), one.compute, Hooks())


@pytest.mark.faults
def test_a_controller_that_dies_is_told_and_the_next_one_carries_on(
    config: TrainConfig, layout: Layout
) -> None:
    long = options(config, {"workers": 1, "threads": 1}).model_copy(update={"steps": 1500})
    assignment, folder = assign(long, layout, "run"), layout.state / "run"
    killed: list[int] = []
    killer = at_step(RunLog(folder), 60, lambda: kill("TrainController", killed))
    with pytest.raises(TrainingError, match="controller of the run died"):
        run_on_ray(assignment, long.compute, Hooks())
    killer.join()
    assert killed
    newest = CheckpointStore(folder / "checkpoints", "print").newest()
    assert newest is not None
    assert newest < 1500
    run_on_ray(assignment, long.compute, Hooks())
    points = RunLog(folder).read()[0]
    assert {point.step for point in points} == set(range(10, 1501, 10))
    assert len(points) - len({point.step for point in points}) <= 10  # since the last checkpoints


def test_causes_are_one_sentence_with_what_helps() -> None:
    missing = RuntimeError("Traceback\n  ...\nModuleNotFoundError: No module named 'pipelines'")
    assert _cause(missing).endswith("install tunable-zoo[pipelines] on every node of the cluster")
    assert _cause(RuntimeError("a\nb\n")) == "b"


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
    assert _cause(pickle.loads(pickle.dumps(error))) == cause
