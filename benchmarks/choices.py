"""What each choice of a recipe brings: short trainings that differ from the recipe in one option.

    mkdir choices && tunable recipe noise-level --budget cpu-hours --out choices/params.yaml
    tunable run prepare --root choices
    python -m benchmarks.choices choices                 # hours on two cores; go on where it stopped
    python -m benchmarks.choices choices --only base "group 16"

Takes the options and the prepared photographs of a folder (``tunable run prepare --root FOLDER``)
whose task is ``noise-level``, and trains every variant on as many pixels, with the same seeds, one thread
each. Measured is PSNR on the validation photographs, none of which is trained or tested on, of what would
be published, with the slider at the truth. Runs stand beside the recipe's own of the same seed: what all runs
of a seed share cancels in the difference.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.cost.machine import machine, versions
from benchmarks.kept import keep
from pipelines.core.config import load_section, parse_section
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.measure.photographs import CenterCrops
from pipelines.measure.runner import evaluation_mode
from pipelines.tasks import Task, make_task
from pipelines.training.batches import Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.loop import Hooks, LoopInputs, run_training_loop
from tunable_models import TunableNetwork, psnr

SCHEMA = 1
ROOT = Path(__file__).parents[1]
BASE = "base"
SIGMAS = (15.0, 25.0, 50.0)
CROP_PX = 256

VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "float32": {"precision": "float32"},
    "no moving average of the weights": {"ema_decay": None},
    "learning rate halved": {"optimizer.lr": 0.5},
    "learning rate doubled": {"optimizer.lr": 2.0},
    "one omega a sample": {"sampling.group": 1},
    "one omega a batch": {"sampling.group": 16},
    "4 patches of 96 px": {"batch_size": 4, "patch_px": 96, "sampling.group": 1},
    "36 patches of 32 px": {"batch_size": 36, "patch_px": 32, "sampling.group": 9},
    "distance mse": {"task.distance": "mse"},
    "distance charbonnier": {"task.distance": "charbonnier"},
    "edsr, 5 blocks of 48": {"network.config": {"width": 48, "blocks": 5}},
    "edsr, dilated blocks": {
        "network.config": {"width": 32, "blocks": 8, "dilations": [1, 2, 3, 4, 4, 3, 2, 1]}
    },
    "drunet, full size": {
        "network.architecture": "drunet",
        "network.config": {"widths": [32, 64, 128], "blocks": 1, "bias": True},
    },
    "drunet, half size": {
        "network.architecture": "drunet",
        "network.config": {"unshuffle": 2, "widths": [48, 96, 192], "blocks": 2, "bias": True},
    },
}
"""Options of section ``train`` that a variant changes; of a learning rate, the factor."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    layout = Layout.at(options.folder)
    config = load_section(layout.params, "train", TrainConfig)
    kept = options.out / f"{options.folder.name}.json"
    report: dict[str, Any] = {"schema": SCHEMA, "runs": []}
    if kept.exists():
        report = json.loads(kept.read_text())
    report["settings"] = {"steps": options.steps, "photographs": len(_photos(layout, "train"))}
    report["machine"], report["versions"] = machine(torch.device("cpu")), versions(torch.device("cpu"))
    done = {(run["variant"], run["seed"]) for run in report["runs"]}
    for seed in range(options.seeds):
        for name in options.only or VARIANTS:
            if (name, seed) in done:
                continue
            report["runs"].append(run_variant(name, make_config(config, name, seed, options.steps), layout))
            keep(report, options.out, options.folder.name)
            print(report["runs"][-1], flush=True)
    keep(report, options.out, options.folder.name, write_page(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choices")
    parser.add_argument("folder", type=Path, help="with params.yaml and artifacts/prepare")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, help="these alone")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "choices")
    return parser


def make_config(recipe: TrainConfig, variant: str, seed: int, steps: int) -> TrainConfig:
    """The recipe's options, short, with the variant's in their place."""
    values = recipe.model_dump(mode="json", exclude_unset=True)
    patches = values["batch_size"] * values["patch_px"] ** 2
    for path, value in VARIANTS[variant].items():
        *folders, last = path.split(".")
        section = values
        for folder in folders:
            section = section[folder]
        section[last] = section[last] * value if last == "lr" else value
    # As many pixels, whatever a batch holds.
    steps = round(steps * patches / (values["batch_size"] * values["patch_px"] ** 2))
    own = {"steps": steps, "log_every": steps, "checkpoint_every": steps, "seed": seed}
    values["compute"] = {"runner": "local", "threads": 1, "channels_last": True}
    values["optimizer"]["warmup_steps"] = min(values["optimizer"]["warmup_steps"], steps // 10)
    return parse_section(values | own, "train", TrainConfig)


def run_variant(name: str, config: TrainConfig, layout: Layout) -> dict[str, Any]:
    """Train it, and measure what came out."""
    device = torch.device("cpu")
    with TemporaryDirectory() as folder:
        job = LoopInputs(
            config=config,
            photos=_photos(layout, "train"),
            store=CheckpointStore(Path(folder), "choices"),
            share=Share(0, 1),
            device=device,
            root=layout.root,
        )
        began = time.process_time()
        network = run_training_loop(job, Hooks())
        seconds = time.process_time() - began
    return {
        "variant": name,
        "seed": config.seed,
        "steps": config.steps,
        "cpu_seconds": round(seconds, 4),
        "psnr": measure(network, make_task(config.task, layout.root), _photos(layout, "validation")),
    }


def measure(network: TunableNetwork, task: Task, photos: PhotoSet) -> list[float]:
    """Mean PSNR in dB over centre crops, at each of ``SIGMAS``, with the slider at the truth."""
    [control] = network.space.controls
    found = []
    with evaluation_mode(network), torch.inference_mode():
        for sigma in SIGMAS:
            view = network.at({control.name: sigma})
            scores = []
            for number in range(len(photos)):
                clean = CenterCrops(photos, CROP_PX, 1)[number]
                noisy = task.degrade(clean, {"noise_sigma": sigma}, (0, "choices", number)).inputs
                scores.append(psnr(view(noisy).clamp(0, 1), clean).item())
            found.append(round(statistics.mean(scores), 4))
    return found


def _photos(layout: Layout, part: str) -> PhotoSet:
    return PhotoSet.open(layout.prepare / part)


def write_page(report: Mapping[str, Any]) -> str:
    """The runs as a table: each variant's difference to the recipe, paired by seed."""
    runs: dict[str, dict[int, Mapping[str, Any]]] = {}
    for run in report["runs"]:
        runs.setdefault(run["variant"], {})[run["seed"]] = run
    base = runs[BASE]
    levels = "/".join(f"{sigma:g}" for sigma in SIGMAS)
    lines = ["# Choices of a recipe", ""]
    for title in ("machine", "versions", "settings"):
        named = ", ".join(f"{key} {value}" for key, value in report[title].items() if value is not None)
        lines += [f"{title}: {named}", ""]
    means = "/".join(f"{value:.2f}" for value in _means(run["psnr"] for run in base.values()))
    lines += [
        f"The recipe itself: {means} dB at noise {levels}, {len(base)} seeds; seeds differ by "
        f"{_spread([run['psnr'][1] for run in base.values()]):.2f} dB at {SIGMAS[1]:g}.",
        "",
        f"| instead | seeds | gain in dB at noise {levels} | least and most at {SIGMAS[1]:g} | CPU time |",
        "|---|---|---|---|---|",
    ]
    for name, own in runs.items():
        pairs = [(own[seed], base[seed]) for seed in own if seed in base]
        if name == BASE or not pairs:
            continue
        gains = [[a - b for a, b in zip(run["psnr"], of["psnr"], strict=True)] for run, of in pairs]
        middle = [gain[1] for gain in gains]
        cost = statistics.mean(run["cpu_seconds"] / of["cpu_seconds"] for run, of in pairs)
        shown = "/".join(f"{value:+.2f}" for value in _means(gains))
        lines.append(
            f"| {name} | {len(pairs)} | {shown} | {min(middle):+.2f}, {max(middle):+.2f} | {cost:.2f}x |"
        )
    return "\n".join([*lines, ""])


def _means(rows: Iterable[Sequence[float]]) -> list[float]:
    return [statistics.mean(column) for column in zip(*rows, strict=True)]


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


if __name__ == "__main__":
    main()
