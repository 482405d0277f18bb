"""A run that loses a node and gains another: does it end with the numbers of an undisturbed one?

    python -m benchmarks.cluster

A Ray cluster of a head without CPUs and two nodes of one, all on this machine. Elastic training, one to two
workers; one node is killed without warning on the way, then a new one comes. The same run in one process,
undisturbed, says which numbers are right.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import numpy as np
import torch
from ray.cluster_utils import Cluster

from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from pipelines.core.config import parse_section
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.measure.photographs import CenterCrops
from pipelines.measure.settings import vertices_and_default
from pipelines.running.job import TrainJob
from pipelines.running.local import run_local
from pipelines.running.ray.driver import run_on_ray
from pipelines.tasks import make_task
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.log import Progress, RunLog
from pipelines.training.loop import Hooks

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
TIMEOUT_S = 240.0
LIMIT = 1e-3
"""Of the relative difference of a point of the loss curve; one sample more or less makes a hundredth."""

QUICKLY = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "15", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1"}
"""Ray waits a minute for a node that it does not know to be dead."""


@dataclass
class Story:
    """What happened, in seconds since the start, and the log."""

    began: float = field(default_factory=time.time)
    events: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, what: str) -> None:
        """Something happened now."""
        self.events.append({"time_s": round(time.time() - self.began, 1), "event": what})
        print(f"{self.events[-1]['time_s']:7.1f} s  {what}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "cluster")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as scratch:
        report = play(Path(scratch), options.steps)
    keep(report, options.out, "run")
    print(json.dumps({key: value for key, value in report.items() if key != "events"}, indent=2))
    if not report["right"]:
        raise SystemExit("the run did not end with the numbers of an undisturbed one")


def play(folder: Path, steps: int) -> dict[str, Any]:
    """The run, its undisturbed twin, and how far apart they are."""
    random = np.random.default_rng(0)
    pictures = [(f"{i}.png", random.integers(0, 256, (96, 128, 3), dtype=np.uint8)) for i in range(4)]
    write_photos(folder / "photos", pictures)
    story = Story()
    with _environment(QUICKLY), _cluster() as cluster:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
        story.tell("a cluster of a head and two nodes is up")
        elastic = _config(steps, workers=[1, 2], address=cluster.address, resize_every_s=5.0, max_failures=5)
        # In a thread, because nodes can only be made in the main one.
        job = _make_job(elastic, folder, "elastic")
        run = Thread(target=run_on_ray, args=(job, Hooks()), daemon=True)
        run.start()
        _disturb(cluster, nodes[1], RunLog(folder / "elastic"), story)
        run.join()
        story.tell("the run ended")
    alone = _config(steps, runner="local")
    run_local(_make_job(alone, folder, "alone"), Hooks())
    return _compared(folder, steps, story)


def _config(steps: int, **compute: Any) -> TrainConfig:
    values = {
        "network": {"architecture": "edsr", "config": {"width": 8, "blocks": 2}},
        "sampling": {"group": 2},
        "optimizer": {"warmup_steps": 20, "lr": 0.0005},
        "steps": steps,
        "batch_size": 8,
        "patch_px": 24,
        "log_every": 10,
        "checkpoint_every": 50,
        "compute": {"threads": 1, **compute},
    }
    return parse_section(values, "train", TrainConfig)


def _make_job(config: TrainConfig, folder: Path, name: str) -> TrainJob:
    return TrainJob(
        config=config,
        photos=folder / "photos",
        validation=folder / "none",
        folder=folder / name,
        fingerprint="benchmark",
        root=folder,
    )


def _disturb(cluster: Cluster, node: Any, log: RunLog, story: Story) -> None:
    """Kill a node when two workers are at it, bring one when one is left, see two again."""
    _wait(_reached(log, workers=2, step=100))
    cluster.remove_node(node, allow_graceful=False)
    story.tell("a node was killed, behind step 100")
    _wait(_reached(log, workers=1))
    story.tell("one worker goes on")
    cluster.add_node(num_cpus=1)
    story.tell("another node came")
    _wait(_reached(log, workers=2))
    story.tell("two workers again")


def _last(log: RunLog) -> Progress | None:
    points, _ = log.read()
    return points[-1] if points else None


def _reached(log: RunLog, workers: int, step: int = 0) -> Callable[[], bool]:
    """Whether the log's last point is of so many workers, at that step or later."""

    def reached() -> bool:
        last = _last(log)
        return last is not None and last.workers == workers and last.step >= step

    return reached


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the cluster did not come as far in time")
        time.sleep(0.1)


@contextmanager
def _cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        yield cluster
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _compared(folder: Path, steps: int, story: Story) -> dict[str, Any]:
    """How the disturbed run differs from its twin."""
    logs = {name: RunLog(folder / name) for name in ("elastic", "alone")}
    curves = {name: log.curve(steps) for name, log in logs.items()}
    losses = [np.array([point.loss for point in curve]) for curve in curves.values()]
    written = [point.step for point in logs["elastic"].read()[0]]
    apart = float((abs(losses[0] - losses[1]) / losses[1]).max())
    in_turn = _in_turn([point.workers for point in logs["elastic"].read()[0]])
    return {
        "right": in_turn == [2, 1, 2] and apart < LIMIT,
        "schema": 1,
        "machine": machine(CPU),
        "versions": versions(CPU),
        "events": story.events,
        "steps": steps,
        "every_step_is_there": [p.step for p in curves["elastic"]] == [p.step for p in curves["alone"]],
        "workers_in_turn": in_turn,
        "steps_computed_again": 10 * (len(written) - len(set(written))),
        "first_loss_relative_difference": float(abs(losses[0][0] - losses[1][0]) / losses[1][0]),
        "largest_loss_relative_difference": apart,
        "limit": LIMIT,
        # Not of the weights: those that hardly matter drift far on rounding alone.
        "largest_output_difference": _apart(folder, steps),
    }


def _in_turn(workers: list[int]) -> list[int]:
    return [count for i, count in enumerate(workers) if i == 0 or workers[i - 1] != count]


def _apart(folder: Path, steps: int) -> float:
    """Between the outputs of both networks for one picture, in [0, 1], at every end of the sliders."""
    config = _config(steps)
    task = make_task(config.task)
    networks = [config.network.make(task.space, config.seed) for _ in range(2)]
    for network, name in zip(networks, ("elastic", "alone"), strict=True):
        network.load_state_dict(_weights(folder / name, steps))
    clean = CenterCrops(PhotoSet.open(folder / "photos"), crop_px=96, unit=1)[0]
    inputs = task.degrade(clean, task.levels, (0,)).inputs
    with torch.inference_mode():
        one, other = (
            torch.cat([network.at(omega)(inputs) for omega in vertices_and_default(task.space)])
            for network in networks
        )
    return float((one - other).abs().max())


def _weights(folder: Path, steps: int) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = CheckpointStore(folder / "checkpoints", "benchmark").load(steps)[
        "network"
    ]
    return tensors


if __name__ == "__main__":
    main()
