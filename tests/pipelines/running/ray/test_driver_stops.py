"""Runs on Ray Train that end early, on one cluster: asked to, by a fault, for want of room."""

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import ray

from pipelines.core.errors import ConfigError, DivergedError, TrainingError
from pipelines.core.layout import Layout
from pipelines.core.ray_cluster import ray_cluster
from pipelines.running.ray import capacity, driver
from pipelines.running.ray.coordinator import DirectoryProbe, StopCoordinator, StopPoll
from pipelines.running.ray.driver import run_on_ray
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks, Stopped
from ray_runs import at_step, make_job, options_of
from tunable_models import TunableNetwork
from waiting import wait_until

CPUS = 2

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("patient_driver")]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One for all: a run joins the cluster that its process is connected to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        # What run_on_ray sets before it starts a cluster of its own.
        patch.setenv("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
        with ray_cluster(None, num_cpus=CPUS, num_gpus=0):
            yield


def scrape(text: list[str]) -> bool:
    """What Prometheus would get of this node."""
    port = ray.nodes()[0]["MetricsExportPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page = answer.read().decode()
    text[:] = [line for line in page.splitlines() if line.startswith("ray_tunable_train_")]
    return bool(text)


def test_asked_to_stop_it_stops_behind_a_checkpoint(config: TrainConfig, layout: Layout) -> None:
    long = options_of(config, {"workers": 1, "threads": 1}).model_copy(update={"steps": 100_000})
    job, folder = make_job(long, layout, "run"), layout.state / "run"
    asked, metrics = list[bool](), list[str]()
    scraper = at_step(RunLog(folder), 30, lambda: scrape(metrics))
    stopper = at_step(RunLog(folder), 60, lambda: bool(metrics) and asked.append(True) is None)
    with pytest.raises(Stopped) as stopped:
        run_on_ray(job, Hooks(stop=lambda: bool(asked)))
    scraper.join()
    stopper.join()
    assert stopped.value.step >= 60
    assert CheckpointStore(folder / "checkpoints", "print").newest() == stopped.value.step
    assert any(line.startswith("ray_tunable_train_loss{") for line in metrics)


@pytest.mark.faults
def test_a_fault_of_one_of_two_workers_that_would_come_again_ends_the_run(
    config: TrainConfig, layout: Layout
) -> None:
    """The other one waits for the next gradients, and nobody is started again."""
    two = options_of(config, {"workers": 2, "threads": 1, "max_failures": 3})
    tries = layout.root / "tries"

    def diverge(step: int, network: TunableNetwork) -> None:
        with tries.open("a") as file:
            file.write(f"{step}\n")
        raise DivergedError("the score is nan")

    with pytest.raises(DivergedError, match=r"^the score is nan$"):
        run_on_ray(make_job(two, layout, "run"), Hooks(at_checkpoint=diverge))
    assert tries.read_text() == "50\n"


@pytest.mark.faults
def test_a_node_that_does_not_see_the_folder_is_told_before_it_trains_on_its_own(
    config: TrainConfig, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = options_of(config, {"workers": 1, "threads": 1, "max_failures": 3})
    elsewhere = DirectoryProbe(layout.root / "elsewhere", "token")
    monkeypatch.setattr(DirectoryProbe, "write", lambda folder: elsewhere)
    # From its beginning: by the worker itself, and not by Ray after three more tries.
    with pytest.raises(TrainingError, match=r"^expected node .*elsewhere"):
        run_on_ray(make_job(one, layout, "run"), Hooks())
    assert not (layout.state / "run" / "checkpoints").exists()


def test_a_cluster_without_room_is_told_and_a_wish_to_stop_ends_the_wait(
    config: TrainConfig,
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(capacity, "SILENT_S", 2.0)
    monkeypatch.setattr(driver, "UNHEARD_S", 3.0)
    one, said = options_of(config, {"workers": 1, "threads": 1}), list[str]()

    def stop() -> bool:
        said.append(capsys.readouterr().out)
        return "no worker is running: requested 1 worker with 1 CPU, free: 0 CPUs" in "".join(said)

    holder = ray.remote(num_cpus=CPUS)(dict).remote()
    ray.get(holder.__ray_ready__.remote())
    with pytest.raises(Stopped) as stopped:
        run_on_ray(make_job(one, layout, "run"), Hooks(stop=stop))
    ray.kill(holder)
    assert stopped.value.step is None
    assert "".join(said).count("no worker is running") == 1


def test_a_gpu_that_is_not_there_is_told(config: TrainConfig) -> None:
    one = options_of(config, {"workers": 1, "use_gpu": True})
    with pytest.raises(ConfigError, match="0 GPUs"):
        driver._check_capacity(one.compute, private=True)


def test_stop_requests_reach_workers_that_are_heard() -> None:
    class Worker:
        """Polls as a worker of a run does; Ray pickles what a function defines by value."""

        def __init__(self, handle: Any) -> None:
            self._poll = StopPoll(handle)

        def is_asked_to_stop(self) -> bool:
            return self._poll()

    coordinator = StopCoordinator()

    def silent_s(*, stop: bool = False) -> float:
        answer = coordinator.silent_s(stop=stop)
        assert answer is not None
        return answer

    wait_until(lambda: silent_s() > 1)
    worker_class: Any = ray.remote(num_cpus=0)(Worker)
    worker = worker_class.remote(coordinator.handle)
    assert not ray.get(worker.is_asked_to_stop.remote())
    wait_until(lambda: silent_s() < 1)
    silent_s(stop=True)
    wait_until(lambda: ray.get(worker.is_asked_to_stop.remote()))
    ray.kill(worker)
    wait_until(lambda: silent_s() > 2)
