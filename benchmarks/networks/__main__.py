"""The command: ``python -m benchmarks.networks [--libraries spandrel timm torchvision] [--only NAME ...]``.

Exit code 1 says that an answer is wrong, or that something raised an error which is no refusal of ours.
"""

import argparse
import functools
import gc
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from benchmarks.networks import from_spandrel, from_timm, from_torchvision
from benchmarks.networks.checks import CHECKS, ERROR, WRONG, Answer, Trial, ask
from benchmarks.networks.plain import NotRunError, Plain
from benchmarks.networks.report import write_page
from benchmarks.networks.subject import MissingLibraryError, Subject

LIBRARIES: dict[str, Callable[[], list[Subject]]] = {
    "spandrel": from_spandrel.find_subjects,
    "timm": from_timm.find_subjects,
    "torchvision": from_torchvision.find_subjects,
}
CPU = torch.device("cpu")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        subjects = [subject for library in options.libraries for subject in LIBRARIES[library]()]
    except MissingLibraryError as error:
        parser.error(str(error))
    unknown = set(options.only or ()) - {subject.name for subject in subjects}
    if unknown:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))} in {', '.join(options.libraries)}")
    report: dict[str, Any] = {
        "schema": 1,
        "machine": machine(CPU),
        "versions": versions(CPU) | {library: version(library) for library in options.libraries},
        "settings": {"norms": options.norms, "export": options.export, "max_millions": options.max_millions},
        "rows": [],
    }
    if options.resume:
        report["rows"] = _read_rows(options.out / f"{options.name}.json", report)
    done = {(row["library"], row["network"]) for row in report["rows"]}
    for subject in subjects:
        asked = options.only is None or subject.name in options.only
        if asked and (subject.library, subject.name) not in done:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the libraries' own
                row = sweep_one(subject, options.max_millions, norms=options.norms, export=options.export)
            report["rows"].append(row)
            print(f"{subject.library} {subject.name}: {_say(row)}", flush=True)
            keep(report, options.out, options.name)
            gc.collect()
    keep(report, options.out, options.name, write_page(report))
    found = {answer["outcome"] for row in report["rows"] for answer in row["answers"].values()}
    return int(bool(found & {WRONG, ERROR}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("--libraries", nargs="+", default=list(LIBRARIES), choices=list(LIBRARIES))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks alone")
    parser.add_argument("--norms", action="store_true", help="the affine of norms tunable too")
    parser.add_argument("--export", action="store_true", help="ONNX as well: minutes a network")
    parser.add_argument("--max-millions", type=float, default=100.0, help="of parameters; larger are not run")
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run stopped")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/networks"))
    parser.add_argument("--name", default="cpu", help="of the report's files")
    return parser


def _read_rows(kept: Path, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of an earlier run that was asked the same, of the same versions."""
    earlier = json.loads(kept.read_text()) if kept.exists() else {"rows": []}
    if any(earlier.get(key) != report[key] for key in ("schema", "versions", "settings")):
        return []
    return list(earlier["rows"])


def sweep_one(subject: Subject, max_millions: float, *, norms: bool, export: bool) -> dict[str, Any]:
    """The answers of one network, a row of the report.

    Args:
        subject: the network.
        max_millions: of parameters; a larger one is not run.
        norms: whether the affine of norms is tunable too.
        export: whether it is exported as well.
    """
    began = time.perf_counter()
    row: dict[str, Any] = {"library": subject.library, "network": subject.name}
    answers: dict[str, Answer] = {}
    trials: list[Trial] = []

    def convert() -> str:
        plain = Plain(subject)
        row["parameters"], row["dtype"] = plain.parameters, str(plain.dtype).removeprefix("torch.")
        if plain.parameters > max_millions * 1e6:
            raise NotRunError(f"it has more than {max_millions:g} M parameters")
        trials.append(Trial(plain, norms=norms))
        return ""

    answers["convert"] = ask(convert)
    for trial in trials:
        for name, check in CHECKS.items():
            if export or name != "export":
                answers[name] = ask(functools.partial(check, trial))
    row["answers"] = {name: vars(answer) for name, answer in answers.items()}
    row["seconds"] = round(time.perf_counter() - began, 1)
    return row


def _say(row: dict[str, Any]) -> str:
    told = [
        f"{name} {Answer(**answer)}"
        for name, answer in row["answers"].items()
        if answer["outcome"] != "right"
    ]
    return f"{'; '.join(told) or 'right'} ({row['seconds']:g} s)"


if __name__ == "__main__":
    sys.exit(main())
