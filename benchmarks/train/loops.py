"""Training loops for measurements: the bare one, and those of the pipeline, with the same options."""

import os
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks.train.points import Point, read_points, write_points
from benchmarks.train.turns import Contender
from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.running.job import TrainJob
from pipelines.running.local import launch_job
from pipelines.tasks import make_task
from pipelines.training.batches import Batches, Share
from pipelines.training.config import TrainConfig
from pipelines.training.learner import Learner
from pipelines.training.log import RunLog
from pipelines.training.loop import Hooks

WHOLE = Share(0, 1)


@dataclass(frozen=True)
class Bench:
    """What all variants share."""

    config: TrainConfig
    layout: Layout
    device: torch.device

    def with_compute(self, **compute: Any) -> TrainConfig:
        """The options with others of where it happens."""
        values = self.config.model_dump(mode="json")
        own = {"use_gpu": self.device.type == "cuda"} | compute
        return parse_section(values | {"compute": values["compute"] | own}, "train", TrainConfig)

    def with_options(self, **options: Any) -> "Bench":
        """The same with other options of training."""
        values = self.config.model_dump(mode="json") | options
        return replace(self, config=parse_section(values, "train", TrainConfig))

    def run(self, config: TrainConfig, folder: Path) -> None:
        """A run of the pipeline's, without validation, to its last step."""
        job = TrainJob.from_layout(config, self.layout, folder=folder, fingerprint="benchmark")
        launch_job(replace(job, validation=folder / "none"), Hooks())


def bare(bench: Bench, share: Share = WHOLE, each: Callable[[], None] = lambda: None) -> Generator[Point]:
    """The loop with nothing around it; a point every ``log_every`` steps, without end.

    Args:
        bench: with its options.
        share: of every batch; gradients stay with it.
        each: called after every step.
    """
    config = bench.with_compute(runner="local")
    torch.set_num_threads(config.compute.threads)
    task = make_task(config.task).to(bench.device)
    photos = PhotoSet.open(bench.layout.prepare / "train")
    learner = Learner(config, task, bench.device)
    learner.start()
    stream = Batches(photos, task, config, bench.device, share).from_step(0)
    images = config.log_every * config.batch_size // share.count
    while True:
        began = time.perf_counter()
        for portions in islice(stream, config.log_every):
            step = learner.step(portions)
            each()
        float(step.norm)  # waits for the GPU
        yield Point(time.time(), time.perf_counter() - began, images)


def loops(bench: Bench, folder: Path, count: int, *, in_step: bool = False) -> Contender:
    """So many processes with a bare loop each, on a share of every batch; they exchange nothing.

    Args:
        bench: with its options.
        folder: empty.
        count: how many.
        in_step: whether they wait for each other after every step.
    """
    folder.mkdir()
    shares = [Share(rank, count) for rank in range(count)]
    bodies = [partial(_loop, bench, share, folder, in_step) for share in shares]
    return Contender(bodies, lambda: [read_points(folder / f"{rank}.jsonl") for rank in range(count)])


def _loop(bench: Bench, share: Share, folder: Path, in_step: bool) -> None:
    if in_step:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=share.rank, world_size=share.count
        )
    write_points(bare(bench, share, _meet if in_step else lambda: None), folder / f"{share.rank}.jsonl")


def _meet() -> None:
    dist.all_reduce(torch.zeros(1))


def runs(bench: Bench, folder: Path, config: TrainConfig, processes: int = 1) -> Contender:
    """A run of the pipeline's; with several processes as torchrun would start them."""
    folder.mkdir()
    port = _free_port() if processes > 1 else None
    bodies = [partial(_run, bench, folder, config, rank, processes, port) for rank in range(processes)]
    images = config.log_every * config.batch_size

    def points() -> list[list[Point]]:
        log = RunLog(folder).read()[0]
        return [[Point(point.time_s, images / point.images_per_s, images) for point in log]]

    return Contender(bodies, points)


def _run(bench: Bench, folder: Path, config: TrainConfig, rank: int, count: int, port: int | None) -> None:
    if port is not None:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in place.items()}, MASTER_ADDR="127.0.0.1")
    bench.run(config, folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
