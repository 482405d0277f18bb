"""Decoders side by side over folders of picture files, and whether ``zoo.read_picture`` is right about them.

    python -m benchmarks.decoders FOLDER [FOLDER ...]

A folder of folders is one of projects. Every decoder works in a process of its own, with a time-out and a
limit of memory. Pages are compared as RGB times alpha at the depth that both keep, before ICC profiles are
applied, except CMYK and Lab, which are converted; within 1 of 255 or 4 of 65535, in lossy formats within 6 of
255 for 99 % of pixels and 1 of 255 on the mean.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost.machine import machine, versions
from benchmarks.decoders.compare import as_numbers, judge
from benchmarks.decoders.decode import DECODERS
from benchmarks.decoders.header import read_declared
from benchmarks.decoders.report import NOTED, summarise, summarise_safety, write_page
from benchmarks.decoders.speed import measure_installed, time_decoders, write_pictures
from benchmarks.decoders.worker import TIMEOUT_S, Outcome, Worker
from benchmarks.kept import keep

SCHEMA = 1
OUT = Path(__file__).parents[1] / "results" / "decoders"
_MODULES = {"Pillow": "PIL", "pyvips": "pyvips", "tifffile": "imagecodecs", "OpenCV": "cv2", "zoo": "zoo"}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    decoders = [name for name in DECODERS if find_spec(_MODULES[name]) is not None]
    workers = {name: Worker(name, options.timeout) for name in decoders}
    try:
        rows = list(examine(options.folders, workers))
        with tempfile.TemporaryDirectory() as folder:
            speed = {} if options.no_speed else time_decoders(write_pictures(Path(folder)), workers)
    finally:
        for worker in workers.values():
            worker.close()
    report = {
        "schema": SCHEMA,
        "machine": machine(torch.device("cpu")),
        "versions": versions(torch.device("cpu")),
        "decoders": decoders,
        "installed": measure_installed(),
        "by": {title: summarise(rows, decoders, title) for title in ("format", "project")},
        "safety": summarise_safety(rows, decoders),
        "speed": speed,
        "noted": [row for row in rows if row["zoo"] in NOTED],
    }
    keep(report, options.out, options.name, write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoders")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds for one file")
    parser.add_argument("--no-speed", action="store_true", help="leave out the pictures that are made here")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--name", default="decoders", help="of the files written")
    return parser


def examine(folders: Sequence[Path], workers: Mapping[str, Worker]) -> Iterator[dict[str, Any]]:
    """A row for each file: what it declares, what each decoder made of it, and the verdict on the zoo."""
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            inside = path.relative_to(folder)
            declared = read_declared(path)
            outcomes = {
                name: worker.decode(path)
                for name, worker in workers.items()
                if name != "tifffile" or declared.form == "TIFF"
            }
            yield {
                "file": inside.as_posix(),
                "project": inside.parts[0] if len(inside.parts) > 1 else folder.name,
                "format": declared.form,
                "bits": declared.bits,
                "decoders": {
                    name: _as_numbers(outcomes.get(name, Outcome("refused", "TIFF alone")))
                    for name in workers
                },
            } | as_numbers(judge(declared, outcomes))


def _as_numbers(outcome: Outcome) -> dict[str, Any]:
    if outcome.first is None:
        return {"status": outcome.status, "said": outcome.said}
    pixels = outcome.first.pixels
    return {
        "status": outcome.status,
        "size": [pixels.shape[1], pixels.shape[0]],
        "channels": 1 if pixels.ndim == 2 else pixels.shape[2],
        "bits": outcome.first.bits,
        "pages": outcome.first.pages,
        "seconds": round(outcome.seconds, 4),
        "peak_mb": round(outcome.peak_mb, 1),
    }


if __name__ == "__main__":
    main()
