"""What entries of the zoo do to pictures that need no restoration: PSNR to the picture itself.

    python -m benchmarks.clean_pictures ENTRY [ENTRY ...] --photos cbsd68=FOLDER --photos kodak24=FOLDER

An entry is a name, a reference or a folder, with independent sliders and at scale 1. Whole pictures, outputs
clipped and not rounded, and no output that is nearer than 100 dB counts as nearer.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo
from benchmarks.cost.machine import machine, versions
from benchmarks.denoisers import OUT, parse_named_folder, read_photos
from benchmarks.kept import keep
from tunable_models import ControlSpace, psnr

SCHEMA = 1
NEAREST_DB = 100.0


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    photos = {name: read_photos(folder, options.count) for name, folder in options.photos}
    entries = [zoo.load(ref) for ref in options.entries]
    for entry in entries:
        if entry.space.kind != "box" or entry.manifest.input.scale != 1:
            raise SystemExit(f"{entry.name}: expected independent sliders and scale 1")
    report = {
        "schema": SCHEMA,
        "machine": machine(torch.device("cpu")),
        "versions": versions(torch.device("cpu")),
        "entries": {
            f"{entry.name}@{entry.version[:8]}": [
                {"setting": name, "values": values, "psnr": measure(entry, values, photos)}
                for name, values in make_settings(entry.space).items()
            ]
            for entry in entries
        },
    }
    keep(report, options.out, "clean", write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clean_pictures")
    parser.add_argument("entries", nargs="+", metavar="ENTRY", help="name, reference or folder of an entry")
    parser.add_argument(
        "--photos", type=parse_named_folder, action="append", required=True, metavar="NAME=FOLDER"
    )
    parser.add_argument("--count", type=int, help="of pictures of each set; all by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser


def make_settings(space: ControlSpace) -> dict[str, dict[str, float]]:
    """Native values by name: every slider of a box at its lower end, at its default, at its upper end."""
    return {
        "all at 0": {control.name: control.low for control in space.controls},
        "defaults": {control.name: control.default for control in space.controls},
        "all up": {control.name: control.high for control in space.controls},
    }


def measure(
    model: zoo.Predictor, values: Mapping[str, float], photos: Mapping[str, Sequence[Tensor]]
) -> dict[str, dict[str, float]]:
    """Mean and least PSNR in dB over the pictures of each set."""
    found = {}
    for name, pictures in photos.items():
        scores = [min(psnr(model(picture, values), picture).item(), NEAREST_DB) for picture in pictures]
        found[name] = {"mean": round(statistics.mean(scores), 3), "least": round(min(scores), 3)}
    return found


def write_page(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    sets = list(next(iter(report["entries"].values()))[0]["psnr"])
    lines = ["# Clean pictures", "", "PSNR to the picture itself in dB, mean (least):", ""]
    lines += ["| entry | sliders | " + " | ".join(sets) + " |", "|---" * (2 + len(sets)) + "|"]
    for entry, rows in report["entries"].items():
        for row in rows:
            values = ", ".join(f"{name} {value:g}" for name, value in row["values"].items())
            scores = [f"{row['psnr'][of]['mean']:.1f} ({row['psnr'][of]['least']:.1f})" for of in sets]
            lines.append("| " + " | ".join([entry, f"{row['setting']}: {values}", *scores]) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
