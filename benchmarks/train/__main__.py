"""The command: ``python -m benchmarks.train [--device cuda] [--starts N] [--rounds N] [--out FOLDER]``."""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from benchmarks.train.loops import Bench
from benchmarks.train.report import markdown, rows, startup
from benchmarks.train.turns import Contender, take_turns
from benchmarks.train.variants import (
    RAY,
    SKIPPED,
    TWO,
    Measured,
    bare_loops,
    before_first_step,
    contenders,
    variants,
)
from pipelines.core.config import load_section, parse_section
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.stages.prepare import run as prepare
from pipelines.training.config import TrainConfig

SCHEMA = 3
ROOT = Path(__file__).parents[2]

ENDLESS = 10**7
"""Steps of what is ended from outside."""

SETTLED_S = 12.0
"""After its first points, until the processes that Ray starts beside its workers are quiet."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    with TemporaryDirectory() as scratch:
        report = measure(options, Path(scratch))
    keep(report, options.out, options.device, markdown(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--params", type=Path, default=ROOT / "params.yaml", help="whose section train counts"
    )
    parser.add_argument("--starts", type=int, default=3, help="of each variant, on the CPU")
    parser.add_argument("--rounds", type=int, default=6, help="of each start, or on a GPU, where each is one")
    parser.add_argument("--steps", type=int, default=240, help="of each variant in each round, on a GPU")
    parser.add_argument("--turn", type=float, default=6.0, help="seconds of each turn, on the CPU")
    parser.add_argument("--no-ray", action="store_true", help="leave Ray Train out")
    parser.add_argument(
        "--bare-only", action="store_true", help="precisions and layouts of the bare loop alone, on the CPU"
    )
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
            "precision": config.precision + (", channels_last" if config.compute.channels_last else ""),
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
    """All variants at once, by turns; and again from their start."""
    found: dict[str, list[Measured]] = {}
    for start in range(1, options.starts + 1):
        for name, measured in _from_a_start(bench, options, start).items():
            found.setdefault(name, []).extend(measured)
    return found


def _from_a_start(bench: Bench, options: argparse.Namespace, start: int) -> dict[str, list[Measured]]:
    folder = bench.layout.root / f"variants-{start}"
    folder.mkdir()
    began: dict[str, Contender] = {}
    starts: dict[str, Mapping[str, float]] = {}
    try:
        chosen = bare_loops(bench) if options.bare_only else contenders(bench, ray=not options.no_ray)
        for number, (name, begin) in enumerate(chosen.items()):
            since, own = time.time(), folder / str(number)
            began[name] = begin(own)
            began[name].warm_up(SKIPPED, SETTLED_S if "Ray" in name else 0.0)
            starts[name] = before_first_step(own, bench.config, since)
        turns = take_turns(
            began, options.rounds, options.turn, lambda n, name, t: _tell(n, name, t.images_per_s, start)
        )
    finally:
        for contender in began.values():
            contender.end()
    return {
        name: [Measured(turn.images_per_s, starts[name], others=turn.others, start=start) for turn in own]
        for name, own in turns.items()
    }


def _tell(number: int, name: str, images_per_s: float, start: int | None = None) -> None:
    of = "" if start is None else f"start {start}, "
    print(f"{of}round {number}: {name}: {images_per_s:.1f}", flush=True)


def _in_rounds(bench: Bench, options: argparse.Namespace) -> dict[str, list[Measured]]:
    """One variant after the other, each from its start."""
    chosen = variants(ray=not options.no_ray)
    found: dict[str, list[Measured]] = {name: [] for name in chosen}
    for number in range(1, options.rounds + 1):
        for name, variant in chosen.items():
            found[name].append(variant(bench))
            _tell(number, name, found[name][-1].images_per_s)
    return found


if __name__ == "__main__":
    main()
