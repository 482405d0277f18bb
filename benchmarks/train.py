"""What Ray Train costs and what a second worker brings: images a second beside the bare loop in one run.

    python -m benchmarks.train                   # on the CPU, about 15 minutes
    python -m benchmarks.train --device cuda     # one GPU: also with torch.compile and channels_last

Every round runs each variant once, with the options of ``params.yaml``: the bare loop (learner and batches,
nothing written), the local runner, Ray Train with one worker, with two. A variant's speed in a round is the
median over its log's points, without those that its start still touches.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import torch

from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from pipelines.config import load_section, parse_section
from pipelines.data.config import PrepareConfig
from pipelines.data.photos import PhotoSet
from pipelines.data.prepare import run as prepare
from pipelines.paths import Layout
from pipelines.tasks import make_task
from pipelines.train.batches import Batches
from pipelines.train.config import TrainConfig
from pipelines.train.learner import Learner
from pipelines.train.local import run_local
from pipelines.train.loop import Hooks
from pipelines.train.on_ray import run_on_ray
from pipelines.train.runlog import RunLog
from pipelines.train.startup import read_startup
from pipelines.train.worker import Assignment

SCHEMA = 1
ROOT = Path(__file__).parents[1]

BARE, LOCAL, RAY, TWO = "the bare loop", "local runner", "Ray Train, 1 worker", "Ray Train, 2 workers"
LIMITS = {RAY: (BARE, 0.97), TWO: (RAY, 1.8)}
"""Variant: against which other one, and the least ratio."""

SKIPPED = 2
"""Points at the beginning of a log that the start still touches."""


@dataclass(frozen=True)
class Measured:
    """One variant in one round; ``startup`` by part, in seconds; utilisation of the GPU in percent."""

    images_per_s: float
    startup: Mapping[str, float]
    utilisation: float | None = None


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


Variant = Callable[[Bench], Measured]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    with TemporaryDirectory() as scratch:
        report = measure(options, Path(scratch))
    keep(report, options.out, options.device, markdown(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--params", type=Path, default=ROOT / "params.yaml", help="whose section train counts"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=240, help="of each variant in each round")
    parser.add_argument("--no-ray", action="store_true", help="leave Ray Train out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "train")
    return parser


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """The report of a run."""
    load = os.getloadavg()[0]
    bench = _bench(options, scratch)
    chosen = variants(bench.device, ray=not options.no_ray)
    found: dict[str, list[Measured]] = {name: [] for name in chosen}
    for number in range(1, options.rounds + 1):
        for name, variant in chosen.items():
            found[name].append(variant(bench))
            print(f"round {number}: {name}: {found[name][-1].images_per_s:.1f} images/s", flush=True)
    config = bench.config
    return {
        "schema": SCHEMA,
        "machine": machine(bench.device) | {"load_before": round(load, 2)},
        "versions": versions(bench.device) | {"ray": version("ray")},
        "settings": {
            "network": f"{config.network.architecture} {config.network.options()}",
            "batch_size": config.batch_size,
            "patch_px": config.patch_px,
            "threads of a worker": config.compute.threads,
            "steps": config.steps,
        },
        "rows": rows(found),
        "startup_s": {name: startup(found[name]) for name in (RAY, TWO) if name in found},
    }


def _bench(options: argparse.Namespace, scratch: Path) -> Bench:
    layout = Layout(scratch)
    prepare(PrepareConfig(), layout)
    values = load_section(options.params, "train", TrainConfig).model_dump(mode="json")
    own = {"steps": options.steps, "log_every": 10, "checkpoint_every": options.steps // 10 * 10}
    return Bench(parse_section(values | own, "train", TrainConfig), layout, torch.device(options.device))


def variants(device: torch.device, *, ray: bool) -> dict[str, Variant]:
    """What is measured, by name; the reference first."""
    on_ray = {RAY: _ray(workers=1), TWO: _ray(workers=2)} if ray else {}
    if device.type == "cpu":
        return {BARE: _bare, LOCAL: _local(), **on_ray}
    on_ray.pop(TWO, None)  # one GPU
    layouts = {
        f"{LOCAL}, channels_last": _local(channels_last=True),
        f"{LOCAL}, compile": _local(compile=True),
        f"{LOCAL}, compile, channels_last": _local(compile=True, channels_last=True),
    }
    return {BARE: _bare, LOCAL: _local(), f"{LOCAL}, 4 loaders": _local(loaders=4), **layouts, **on_ray}


def _bare(bench: Bench) -> Measured:
    """The loop with nothing around it."""
    config = bench.with_compute(runner="local")
    torch.set_num_threads(config.compute.threads)
    task = make_task(config.task).to(bench.device)
    batches = Batches(PhotoSet.open(bench.layout.prepare / "train"), task, config, bench.device)
    learner = Learner(config, task, bench.device)
    learner.wrap(lambda module: module)
    speeds = []
    with _watched(bench.device) as utilisation:
        stream = batches.from_step(0)
        for _ in range(config.steps // config.log_every):
            began = time.perf_counter()
            for batch in islice(stream, config.log_every):
                step = learner.step(batch)
            float(step.norm)  # waits for the GPU
            speeds.append(config.log_every * config.batch_size / (time.perf_counter() - began))
    return Measured(statistics.median(speeds[SKIPPED:]), {}, utilisation())


def _local(**compute: Any) -> Variant:
    return lambda bench: _logged(bench, bench.with_compute(runner="local", **compute))


def _ray(**compute: Any) -> Variant:
    return lambda bench: _logged(bench, bench.with_compute(runner="ray", **compute))


def _logged(bench: Bench, config: TrainConfig) -> Measured:
    """A whole run, measured by its log."""
    with TemporaryDirectory(dir=bench.layout.root) as folder, _watched(bench.device) as utilisation:
        photos = (bench.layout.prepare / "train", bench.layout.prepare / "validation")
        run = Assignment.of(config, *photos, Path(folder), "benchmark", bench.layout.root)
        began = time.time()
        (run_on_ray if config.compute.runner == "ray" else run_local)(run, config.compute, Hooks())
        points = RunLog(Path(folder)).curve(config.steps)
        parts = read_startup(Path(folder))
        first = points[0].time_s - config.log_every * config.batch_size / points[-1].images_per_s
        parts |= {"first step": max(0.0, first - began - sum(parts.values()))} if parts else {}
        speed = statistics.median(point.images_per_s for point in points[SKIPPED:])
        return Measured(speed, parts, utilisation())


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


def rows(found: Mapping[str, Sequence[Measured]]) -> list[dict[str, Any]]:
    """Medians and quartiles over the rounds; ratios are of the same round."""
    made = []
    for name, measured in found.items():
        against, least = LIMITS.get(name, (BARE, None))
        speeds = [one.images_per_s for one in measured]
        ratios = [mine / its.images_per_s for mine, its in zip(speeds, found[against], strict=True)]
        busy = [one.utilisation for one in measured if one.utilisation is not None]
        low, middle, high = _quartiles(ratios)
        made.append(
            {
                "name": name,
                "images_per_s": statistics.median(speeds),
                "against": against,
                "ratio": middle,
                "ratio_q1": low,
                "ratio_q3": high,
                "least_ratio": least,
                "utilisation_percent": statistics.median(busy) if busy else None,
                "rounds": len(speeds),
            }
        )
    return made


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def startup(measured: Sequence[Measured]) -> dict[str, float]:
    """Median seconds of each part."""
    return {part: statistics.median(one.startup[part] for one in measured) for part in measured[0].startup}


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    lines = ["# Training speed", ""]
    for title in ("machine", "versions", "settings"):
        named = ", ".join(f"{key} {value}" for key, value in report[title].items() if value is not None)
        lines += [f"{title}: {named}", ""]
    lines += [
        "| variant | images/s | ratio | quartiles | of | least | GPU busy |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        least = "" if row["least_ratio"] is None else f"{row['least_ratio']:g} {_verdict(row)}"
        busy = "" if row["utilisation_percent"] is None else f"{row['utilisation_percent']:.0f} %"
        lines.append(
            f"| {row['name']} | {row['images_per_s']:.1f} | {row['ratio']:.3f} | {row['ratio_q1']:.3f} to "
            f"{row['ratio_q3']:.3f} | {row['against']} | {least} | {busy} |"
        )
    lines += [
        "",
        f"Medians over {report['rows'][0]['rounds']} rounds; each round runs every variant once.",
        "",
    ]
    lines += ["## Before the first step, in seconds", ""]
    for name, parts in report["startup_s"].items():
        named = ", ".join(f"{part} {seconds:.1f}" for part, seconds in parts.items())
        lines += [f"{name}: {named}; {sum(parts.values()):.1f} in all.", ""]
    return "\n".join(lines)


def _verdict(row: Mapping[str, Any]) -> str:
    return "met" if row["ratio"] >= row["least_ratio"] else "**not met**"


if __name__ == "__main__":
    main()
