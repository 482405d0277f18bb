"""The command: ``python -m benchmarks.cost [--device cuda] [--networks edsr nafnet] [--out FOLDER]``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.cost.measure import Plan, measure
from benchmarks.cost.report import markdown
from benchmarks.cost.timing import MIN_ROUNDS
from benchmarks.cost.variants import Subject
from benchmarks.kept import keep

DEFAULT_OPTIONS: dict[str, dict[str, object]] = {
    "edsr": {"width": 64, "blocks": 16},
    "nafnet": {"preset": "w32"},
    "swinir": {"preset": "denoise-light"},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.repeats < MIN_ROUNDS:
        parser.error(f"--repeats: expected {MIN_ROUNDS} at least, got {options.repeats}")
    presets = dict(_assignment(text) for text in options.preset)
    subjects = [
        Subject(name, {"preset": presets[name]} if name in presets else DEFAULT_OPTIONS[name])
        for name in options.networks
    ]
    plan = Plan(
        device=options.device,
        threads=options.threads,
        rounds=options.repeats,
        budget_s=options.seconds,
        memory=options.memory,
    )
    report = measure(subjects, plan)
    keep(report, options.out, options.device, markdown(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=_devices())
    parser.add_argument("--networks", nargs="+", default=list(DEFAULT_OPTIONS), choices=list(DEFAULT_OPTIONS))
    parser.add_argument("--preset", nargs="*", default=[], metavar="NETWORK=PRESET", help="another size")
    parser.add_argument("--repeats", type=int, default=41, help="rounds at most")
    parser.add_argument("--seconds", type=float, default=75.0, help="time for each network's task, about")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/cost"))
    return parser


def _devices() -> list[str]:
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _assignment(text: str) -> tuple[str, str]:
    name, mark, preset = text.partition("=")
    if not mark or name not in DEFAULT_OPTIONS:
        raise SystemExit(f"--preset: expected NETWORK=PRESET such as swinir=denoise-m, got {text!r}")
    return name, preset


if __name__ == "__main__":
    main()
