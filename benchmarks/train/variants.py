"""What is compared with what."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import torch

from benchmarks.train.arithmetic import arithmetic
from benchmarks.train.loops import Bench, bare, loops, runs
from benchmarks.train.turns import Contender
from pipelines.running.startup import read_startup
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog

BARE, LOCAL, RAY, TWO = "the bare loop", "local runner", "Ray Train, 1 worker", "Ray Train, 2 workers"
TWICE = "Ray Train, 2 workers, twice the batch"
APART = "2 bare loops, nothing exchanged"
IN_STEP = "2 bare loops that wait for each other"
BOTH = "local runner, 2 processes"
ONE_CORE, TWO_CORES = (
    f"{what} of arithmetic alone, 1000 products/s" for what in ("1 process", "2 processes")
)
FORMS: Mapping[str, Mapping[str, Any]] = {
    f"{BARE}, float32": {"precision": "float32", "channels_last": False},
    f"{BARE}, float32, channels_last": {"precision": "float32", "channels_last": True},
    f"{BARE}, bfloat16": {"precision": "bfloat16", "channels_last": False},
    f"{BARE}, bfloat16, channels_last": {"precision": "bfloat16", "channels_last": True},
}
"""The bare loop by precision and layout in memory; without these words it has those of the options."""
LIMITS: Mapping[str, tuple[str, float | None]] = {
    RAY: (BARE, 0.97),
    TWO: (RAY, 1.8),
    TWICE: (RAY, 1.8),
    ONE_CORE: (ONE_CORE, None),
    TWO_CORES: (ONE_CORE, None),
}
"""Variant: against which other one, and the least ratio, if one is asked for."""


@dataclass(frozen=True)
class Measured:
    """One variant in one round.

    Attributes:
        images_per_s: speed.
        startup: seconds by part.
        utilisation: of the GPU, in percent.
        others: cores that were busy with anything else.
        start: which one of its starts this was a round of.
    """

    images_per_s: float
    startup: Mapping[str, float]
    utilisation: float | None = None
    others: float | None = None
    start: int = 1


SKIPPED = 2
"""Points at the beginning of a log that the start still touches."""

Variant = Callable[[Bench], Measured]


def bare_loops(bench: Bench) -> dict[str, Callable[[Path], Contender]]:
    """The bare loop, with the options' and with each precision and layout in memory."""
    return {
        BARE: lambda folder: loops(bench, folder, 1),
        **{name: partial(_loop_in, bench, **options) for name, options in FORMS.items()},
    }


def contenders(bench: Bench, *, ray: bool) -> dict[str, Callable[[Path], Contender]]:
    """What takes turns, by name, the reference first; each gets a folder to make."""
    alone, twice = (
        bench.with_compute(runner="local"),
        bench.with_options(batch_size=2 * bench.config.batch_size),
    )
    on_ray = {
        RAY: lambda folder: runs(bench, folder, bench.with_compute(runner="ray", workers=1)),
        TWO: lambda folder: runs(bench, folder, bench.with_compute(runner="ray", workers=2)),
        TWICE: lambda folder: runs(twice, folder, twice.with_compute(runner="ray", workers=2)),
    }
    return {
        **bare_loops(bench),
        **(on_ray if ray else {}),
        BOTH: lambda folder: runs(bench, folder, alone, processes=2),
        IN_STEP: lambda folder: loops(bench, folder, 2, in_step=True),
        APART: lambda folder: loops(bench, folder, 2),
        ONE_CORE: lambda folder: arithmetic(folder, 1),
        TWO_CORES: lambda folder: arithmetic(folder, 2),
    }


def _loop_in(bench: Bench, folder: Path, *, precision: str, channels_last: bool) -> Contender:
    compute = bench.config.compute.model_dump(mode="json") | {"channels_last": channels_last}
    return loops(bench.with_options(precision=precision, compute=compute), folder, 1)


def variants(*, ray: bool) -> dict[str, Variant]:
    """What is measured on a GPU, by name; the reference first."""
    layouts = {
        f"{LOCAL}, channels_last": _local(channels_last=True),
        f"{LOCAL}, compile": _local(compile=True),
        f"{LOCAL}, compile, channels_last": _local(compile=True, channels_last=True),
    }
    on_ray = {RAY: _ray(workers=1)} if ray else {}
    return {BARE: _bare, LOCAL: _local(), f"{LOCAL}, 4 loaders": _local(loaders=4), **layouts, **on_ray}


def _bare(bench: Bench) -> Measured:
    """The loop with nothing around it."""
    with _watched(bench.device) as utilisation, closing(bare(bench)) as points:
        speeds = [p.images / p.seconds for p in islice(points, bench.config.steps // bench.config.log_every)]
        return Measured(statistics.median(speeds[SKIPPED:]), {}, utilisation())


def _local(**compute: Any) -> Variant:
    return lambda bench: _logged(bench, bench.with_compute(runner="local", **compute))


def _ray(**compute: Any) -> Variant:
    return lambda bench: _logged(bench, bench.with_compute(runner="ray", **compute))


def _logged(bench: Bench, config: TrainConfig) -> Measured:
    """A whole run, measured by its log."""
    with TemporaryDirectory(dir=bench.layout.root) as name, _watched(bench.device) as utilisation:
        folder, began = Path(name), time.time()
        bench.run(config, folder)
        points = RunLog(folder).curve(config.steps)
        speed = statistics.median(point.images_per_s for point in points[SKIPPED:])
        return Measured(speed, before_first_step(folder, config, began), utilisation())


def before_first_step(folder: Path, config: TrainConfig, began: float) -> dict[str, float]:
    """Seconds of each part before the first step of a run on Ray; empty for others."""
    parts = read_startup(folder)
    if not parts:
        return {}
    points = RunLog(folder).curve(config.steps)
    first = points[0].time_s - config.log_every * config.batch_size / points[-1].images_per_s
    return parts | {"first step": max(0.0, first - began - sum(parts.values()))}


@contextmanager
def _watched(device: torch.device, every_s: float = 0.25) -> Iterator[Callable[[], float | None]]:
    """Asks the GPU how busy it is, until asked for the mean."""
    seen: list[int] = []
    over = Event()

    def look() -> None:
        while not over.wait(every_s):
            seen.append(torch.cuda.utilization(device))

    thread = Thread(target=look, daemon=True)
    if device.type == "cuda":
        thread.start()
    try:
        yield lambda: statistics.mean(seen) if seen else None
    finally:
        over.set()
