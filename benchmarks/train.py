"""What Ray Train costs and what a second worker brings: images a second beside the bare loop in one run.

    python -m benchmarks.train                   # on the CPU, about 15 minutes
    python -m benchmarks.train --device cuda     # one GPU: also with torch.compile and channels_last

All variants have the options of ``params.yaml``. On the CPU all of them are started, and then take turns of
a few seconds while the others stand still, so that start-up is over and a machine whose speed wavers is the
same for all: the bare loop (learner and batches, little written), Ray Train with one worker, with two, and
what tells where a second worker's speed goes: two bare loops that share each batch and exchange nothing, the
same but waiting for each other after every step, and the pipeline's two processes without Ray. On a GPU
every round runs each variant once, from its start; its speed is the median over its log's points, without
those that the start still touches.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
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
from benchmarks.loops import Bench, bare, loops, runs
from benchmarks.turns import Contender, take_turns
from pipelines.config import load_section, parse_section
from pipelines.data.config import PrepareConfig
from pipelines.data.prepare import run as prepare
from pipelines.paths import Layout
from pipelines.train.config import TrainConfig
from pipelines.train.runlog import RunLog
from pipelines.train.startup import read_startup

SCHEMA = 2
ROOT = Path(__file__).parents[1]

BARE, LOCAL, RAY, TWO = "the bare loop", "local runner", "Ray Train, 1 worker", "Ray Train, 2 workers"
APART = "2 bare loops, nothing exchanged"
IN_STEP = "2 bare loops that wait for each other"
BOTH = "local runner, 2 processes"
LIMITS = {RAY: (BARE, 0.97), TWO: (RAY, 1.8)}
"""Variant: against which other one, and the least ratio."""

ENDLESS = 10**7
"""Steps of what is ended from outside."""

SKIPPED = 2
"""Points at the beginning of a log that the start still touches."""

SETTLED_S = 12.0
"""After its first points, until the processes that Ray starts beside its workers are quiet."""


@dataclass(frozen=True)
class Measured:
    """One variant in one round.

    Attributes:
        images_per_s: speed.
        startup: seconds by part.
        utilisation: of the GPU, in percent.
        others: cores that were busy with anything else.
    """

    images_per_s: float
    startup: Mapping[str, float]
    utilisation: float | None = None
    others: float | None = None


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
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=240, help="of each variant in each round, on a GPU")
    parser.add_argument("--turn", type=float, default=6.0, help="seconds of each turn, on the CPU")
    parser.add_argument("--no-ray", action="store_true", help="leave Ray Train out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "train")
    return parser


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """The report of a run."""
    load = os.getloadavg()[0]
    bench = _bench(options, scratch)
    found = (_in_turns if bench.device.type == "cpu" else _in_rounds)(bench, options)
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
            "of each turn": f"{options.turn:g} s" if bench.device.type == "cpu" else f"{config.steps} steps",
        },
        "rows": rows(found),
        "startup_s": {name: startup(found[name]) for name in (RAY, TWO) if name in found},
    }


def _bench(options: argparse.Namespace, scratch: Path) -> Bench:
    layout = Layout(scratch)
    prepare(PrepareConfig(), layout)
    values = load_section(options.params, "train", TrainConfig).model_dump(mode="json")
    steps, log_every = (ENDLESS, 5) if options.device == "cpu" else (options.steps, 10)
    own = {"steps": steps, "log_every": log_every, "checkpoint_every": steps // 10 * 10}
    return Bench(parse_section(values | own, "train", TrainConfig), layout, torch.device(options.device))


def _in_turns(bench: Bench, options: argparse.Namespace) -> dict[str, list[Measured]]:
    """All variants at once, by turns."""
    folder = bench.layout.root / "variants"
    folder.mkdir()
    began: dict[str, Contender] = {}
    starts: dict[str, Mapping[str, float]] = {}
    try:
        for number, (name, begin) in enumerate(contenders(bench, ray=not options.no_ray).items()):
            since, own = time.time(), folder / str(number)
            began[name] = begin(own)
            began[name].warm_up(SKIPPED, SETTLED_S if "Ray" in name else 0.0)
            starts[name] = _startup(own, bench.config, since)
        turns = take_turns(
            began, options.rounds, options.turn, lambda n, name, t: _tell(n, name, t.images_per_s)
        )
    finally:
        for contender in began.values():
            contender.end()
    return {
        name: [Measured(turn.images_per_s, starts[name], others=turn.others) for turn in own]
        for name, own in turns.items()
    }


def contenders(bench: Bench, *, ray: bool) -> dict[str, Callable[[Path], Contender]]:
    """What takes turns, by name, the reference first; each gets a folder to make."""
    alone = bench.with_compute(runner="local")
    on_ray = {
        RAY: lambda folder: runs(bench, folder, bench.with_compute(runner="ray", workers=1)),
        TWO: lambda folder: runs(bench, folder, bench.with_compute(runner="ray", workers=2)),
    }
    return {
        BARE: lambda folder: loops(bench, folder, 1),
        **(on_ray if ray else {}),
        BOTH: lambda folder: runs(bench, folder, alone, processes=2),
        IN_STEP: lambda folder: loops(bench, folder, 2, in_step=True),
        APART: lambda folder: loops(bench, folder, 2),
    }


def _tell(number: int, name: str, images_per_s: float) -> None:
    print(f"round {number}: {name}: {images_per_s:.1f} images/s", flush=True)


def _in_rounds(bench: Bench, options: argparse.Namespace) -> dict[str, list[Measured]]:
    """One variant after the other, each from its start."""
    chosen = variants(ray=not options.no_ray)
    found: dict[str, list[Measured]] = {name: [] for name in chosen}
    for number in range(1, options.rounds + 1):
        for name, variant in chosen.items():
            found[name].append(variant(bench))
            _tell(number, name, found[name][-1].images_per_s)
    return found


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
        return Measured(speed, _startup(folder, config, began), utilisation())


def _startup(folder: Path, config: TrainConfig, began: float) -> dict[str, float]:
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


def rows(found: Mapping[str, Sequence[Measured]]) -> list[dict[str, Any]]:
    """Medians and quartiles over the rounds; ratios are of the same round."""
    made = []
    for name, measured in found.items():
        against, least = LIMITS.get(name, (BARE, None))
        speeds = [one.images_per_s for one in measured]
        ratios = [mine / its.images_per_s for mine, its in zip(speeds, found[against], strict=True)]
        busy = [one.utilisation for one in measured if one.utilisation is not None]
        others = [one.others for one in measured if one.others is not None]
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
                "other_cores": statistics.median(others) if others else None,
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
        "| variant | images/s | ratio | quartiles | of | least | GPU busy | cores busy with other things |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        least = "" if row["least_ratio"] is None else f"{row['least_ratio']:g} {_verdict(row)}"
        busy = "" if row["utilisation_percent"] is None else f"{row['utilisation_percent']:.0f} %"
        others = "" if row["other_cores"] is None else f"{row['other_cores']:.2f}"
        lines.append(
            f"| {row['name']} | {row['images_per_s']:.1f} | {row['ratio']:.3f} | {row['ratio_q1']:.3f} to "
            f"{row['ratio_q3']:.3f} | {row['against']} | {least} | {busy} | {others} |"
        )
    lines += [
        "",
        f"Medians over {report['rows'][0]['rounds']} rounds; each round gives every variant a turn.",
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
