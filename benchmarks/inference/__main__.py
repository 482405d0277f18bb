"""The command: ``python -m benchmarks.inference [--networks denoise-deblur drunet] [--rounds 11]``."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost.machine import machine, versions
from benchmarks.inference.measure import measure
from benchmarks.inference.report import markdown
from benchmarks.inference.subjects import BUNDLED, PRESETS, calls, subjects
from benchmarks.kept import keep
from zoo.remote.cache import CACHE_VARIABLE

CPU = torch.device("cpu")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds: expected 1 at least, got {options.rounds}")
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="inference-") as scratch:
        os.environ[CACHE_VARIABLE] = scratch
        for subject in subjects(options.networks, Path(scratch) / "store"):
            variants, apart = calls(subject)
            print(f"{subject.name}, {subject.side_px} px", flush=True)
            for row in measure(variants, options.rounds):
                difference = apart[row["engine"]]
                rows.append({"network": subject.name, "side_px": subject.side_px, **row, "apart": difference})
    report = {
        "schema_version": 1,
        "machine": machine(CPU),
        "versions": versions(CPU) | {"onnxruntime": version("onnxruntime")},
        "settings": {"threads": options.threads, "rounds": options.rounds},
        "rows": rows,
    }
    keep(report, options.out, "cpu", markdown(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    names = [BUNDLED, *PRESETS]
    parser.add_argument("--networks", nargs="+", default=names, choices=names)
    parser.add_argument("--rounds", type=int, default=11, help="each calls every engine once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/inference"))
    return parser


if __name__ == "__main__":
    main()
