"""Do the sliders live? Trains every task by its recipe and collects what ``evaluate`` measured.

    python -m benchmarks.tasks                        # all seven, about 40 minutes on two cores
    python -m benchmarks.tasks noise-level --rank 4   # one of them with deltas of low rank

Each task runs in a folder of its own by the local runner, goes on where it was interrupted, and leaves
its parameters, loss curve, metrics and picture below ``--out``; ``README.md`` there is made from them.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.core.errors import ConfigError
from pipelines.recipes import BUDGETS, TASKS, make_recipe
from tunable_models import NetworkSpec, TunableNetwork

KEPT = {
    "params.yaml": "params.yaml",
    "metrics.json": "artifacts/evaluate/summary.json",
    "curve.csv": "artifacts/train/curve.csv",
    "record.json": "artifacts/train/record.json",
    "provenance.json": "artifacts/train/provenance.json",
    "curves.png": "artifacts/evaluate/plots/curves.png",
    "sliders.png": "artifacts/evaluate/sliders.png",
}
"""What is kept of a run, and where the run leaves it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tasks", description=__doc__)
    # No choices: argparse would compare them with the empty list that stands for all.
    names = f"of {', '.join(TASKS)}; all by default"
    parser.add_argument("tasks", nargs="*", type=known, metavar="TASK", help=names)
    parser.add_argument("--budget", default="minutes", choices=BUDGETS)
    parser.add_argument("--rank", type=int, help="of the deltas; full by default")
    parser.add_argument("--threads", type=int, default=2, help="to run two tasks side by side, give each 1")
    parser.add_argument("--work", type=Path, default=Path(".state/tasks"), help="where the runs happen")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tasks"))
    options = parser.parse_args()
    for task in options.tasks or TASKS:
        label = task if options.rank is None else f"{task}-rank-{options.rank}"
        folder = options.work / f"{label}-{options.budget}"
        run(_params(task, options), folder)
        keep(folder, options.out / label)
        (options.out / "README.md").write_text(report(options.out), encoding="utf-8")


def known(task: str) -> str:
    """The name of a task that there is, of an argument."""
    try:
        make_recipe(task)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return task


def _params(task: str, options: argparse.Namespace) -> str:
    """The recipe with what the command line changes; its comments stay."""
    text = make_recipe(task, options.budget)
    text = re.sub(r"^( +threads: )\d+", rf"\g<1>{options.threads}", text, flags=re.M)
    if options.rank is not None:
        text = re.sub(r"^( +)basis: .*$", rf"\g<0>\n\g<1>rank: {options.rank}", text, flags=re.M)
    return text


def run(params: str, folder: Path) -> None:
    """Every stage of a task; training goes on where it was interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "pipelines", "all", "--root", str(folder)], check=True)


def keep(folder: Path, out: Path) -> None:
    """Copy what is worth keeping."""
    out.mkdir(parents=True, exist_ok=True)
    for name, source in KEPT.items():
        shutil.copyfile(folder / source, out / name)


def report(out: Path) -> str:
    """The table of all runs that lie below ``out``."""
    rows = [line for folder in sorted(out.iterdir()) if folder.is_dir() for line in _rows(folder)]
    head = "| task | network | steps | slider | rise of its own metric, dB | alive | steps that fall |\n"
    return (
        "# Every task, trained for a few minutes\n\n"
        "`python -m benchmarks.tasks` made this. Small networks on the photographs that come with "
        "scikit-image, two of them held out; the question is whether each slider does what it says, not how "
        "far a published size would get. A slider's own metric is the task's (see `pipelines/tasks`): PSNR "
        "to what its upper end asks for, the noise taken away, or minus its objective in dB. *Rise* is from "
        "end to end, mean over photographs; a slider is *dead* that rises less than "
        "`evaluate.least_range_db`; *steps that fall* counts pairs of neighbouring positions (of 11) whose "
        "metric falls by more than 0.01 dB. Beside a low rank stand the parameters, in those of the plain "
        "network. Perceptual and style objectives see a seeded random trunk where published weights are not "
        "at hand, as `record.json` says.\n\n"
        + head
        + "|---|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _rows(folder: Path) -> Iterator[str]:
    metrics, record = (json.loads((folder / name).read_text()) for name in ("metrics.json", "record.json"))
    seconds = json.loads((folder / "provenance.json").read_text())["training_seconds"]
    start = (
        f"| [{folder.name}]({folder.name}/sliders.png) | {_network(record)} | {record['steps']}, {seconds} s"
    )
    for label, rise in metrics["sliders"]["range_db"].items():
        fallen = metrics["monotonicity"][label]
        life = "dead" if label in metrics["sliders"]["dead"] else "alive"
        yield f"{start} | {label} | {rise:.2f} | {life} | {fallen['violations']} of {fallen['pairs']} |"
        start = "| | | "


def _network(record: dict[str, Any]) -> str:
    text = f"{record['architecture']['id']}, {record['basis']}"
    rank = record.get("rank")
    return text if rank is None else f"{text}, rank {rank}, {_ratio(record):.2f}x"


def _ratio(record: dict[str, Any]) -> float:
    """Parameters of the tunable network over those of the plain one."""
    spec = NetworkSpec.from_dict(record)
    networks = (TunableNetwork.from_spec(spec), spec.build_plain())
    sizes = [sum(parameter.numel() for parameter in net.parameters()) for net in networks]
    return sizes[0] / sizes[1]


if __name__ == "__main__":
    main()
