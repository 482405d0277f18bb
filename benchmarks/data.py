"""Does the loader keep up? Images a second that it gives, that the network takes, and that torchvision gives.

    python -m benchmarks.data                      # on the photographs inside scikit-image
    python -m benchmarks.data --photos FOLDER      # on those of a folder

The network is that of ``params.yaml``, trained on a batch that is there already. Torchvision decodes files of
the same photographs, as its ``ImageFolder`` does, and cuts patches of the same size, flipped at random.
"""

import argparse
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.cost.machine import machine, versions
from benchmarks.cost.timing import Call, interleave
from benchmarks.kept import keep
from pipelines.core.config import load_section
from pipelines.core.random_streams import stream_seed
from pipelines.data.config import PrepareConfig
from pipelines.data.ingest import ingest_source
from pipelines.data.order import Order
from pipelines.data.photos import PhotoSet
from pipelines.data.transforms import Augment
from pipelines.tasks import make_task
from pipelines.training.batches import Batches
from pipelines.training.config import TrainConfig
from pipelines.training.learner import Learner

SCHEMA = 1
ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")

NETWORK, OURS, THEIRS = "the network takes", "ours", "torchvision"
LEAST_RATIO = 5.0
"""Images a second of the loader over those that the network takes."""

BATCHES = {NETWORK: 4, OURS: 32, THEIRS: 8}
"""Batches a call, by the first word of a variant, so that calls take about equally long."""

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Row:
    """One variant: quartiles over the rounds, and the median ratio to the network in the same round."""

    name: str
    images_per_s: float
    q1: float
    q3: float
    ratio: float
    rounds: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--photos", metavar="FOLDER", help="photographs; those of scikit-image by default")
    parser.add_argument(
        "--params", type=Path, default=ROOT / "params.yaml", help="whose section train counts"
    )
    parser.add_argument("--rounds", type=int, default=21, help="at most")
    parser.add_argument("--seconds", type=float, default=180.0, help="about")
    parser.add_argument("--threads", type=int, default=2, help="of the network")
    parser.add_argument("--workers", type=int, default=2, help="processes that load, where any do")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "data")
    options = parser.parse_args(arguments)
    config = load_section(options.params, "train", TrainConfig)
    with TemporaryDirectory() as scratch:
        report = measure(config, options, Path(scratch))
    keep(report, options.out, "cpu", markdown(report))


def measure(config: TrainConfig, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """The report of a run."""
    load = os.getloadavg()[0]
    photos = _photos(options.photos, scratch)
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        calls = _calls(config, photos, scratch, options.workers)
        times = interleave(calls, device=CPU, rounds=options.rounds, warmup=1, budget_s=options.seconds)
    finally:
        torch.set_num_threads(before)
    libraries = ("torchvision", "albumentations", "numpy", "pillow")
    return {
        "schema": SCHEMA,
        "machine": machine(CPU) | {"load_before": round(load, 2)},
        "versions": versions(CPU) | {name: version(name) for name in libraries},
        "settings": {
            "threads": options.threads,
            "network": f"{config.network.architecture} {config.network.options()}",
            "batch_size": config.batch_size,
            "patch_px": config.patch_px,
            "photographs": len(photos),
            "mean_pixels": round(statistics.mean(height * width for height, width in photos.sizes)),
            "least_ratio": LEAST_RATIO,
        },
        "rows": [asdict(row) for row in rows(times, config.batch_size)],
    }


def rows(times: dict[str, list[float]], batch_size: int) -> list[Row]:
    """Speeds from the milliseconds of every call; the network's comes first."""
    rates = {name: [1e3 * _images(name, batch_size) / ms for ms in own] for name, own in times.items()}
    return [_row(name, own, rates[NETWORK]) for name, own in rates.items()]


def _row(name: str, own: list[float], network: list[float]) -> Row:
    low, middle, high = statistics.quantiles(own, n=4, method="inclusive")
    ratio = statistics.median(mine / taken for mine, taken in zip(own, network, strict=False))
    return Row(name, round(middle, 1), round(low, 1), round(high, 1), round(ratio, 2), len(own))


def _images(name: str, batch_size: int) -> int:
    return batch_size * BATCHES[name.partition(",")[0]]


def _photos(folder: str | None, scratch: Path) -> PhotoSet:
    source = "skimage" if folder is None else str(Path(folder).expanduser().resolve())
    config = PrepareConfig(source=source)
    return ingest_source(source, config, ROOT, scratch / "set").photos


def _calls(config: TrainConfig, photos: PhotoSet, scratch: Path, workers: int) -> dict[str, Call]:
    streams: dict[str, Iterator[Any]] = {
        f"{OURS}, patches, in the process": _patches(config, photos),
        f"{OURS}, degraded, in the process": _batches(config, photos, loaders=0),
    }
    if workers:
        streams[f"{OURS}, degraded, {workers} processes"] = _batches(config, photos, workers)
    for kind in ("PNG", "JPEG"):
        folder = _files(photos, kind, scratch)
        streams[f"{THEIRS}, {kind}, in the process"] = _torchvision(config, folder, 0)
        if workers:
            streams[f"{THEIRS}, {kind}, {workers} processes"] = _torchvision(config, folder, workers)
    drawn = {name: _drawn(stream, BATCHES[name.partition(",")[0]]) for name, stream in streams.items()}
    return {NETWORK: _network(config, photos), **drawn}


def _drawn(stream: Iterator[Any], batches: int) -> Call:
    def call(number: int) -> None:
        for _ in range(batches):
            next(stream)

    return call


def _network(config: TrainConfig, photos: PhotoSet) -> Call:
    task = make_task(config.task, ROOT).to(CPU)
    portions = next(Batches(photos, task, _loading(config, 0), CPU).from_step(0))
    learner = Learner(config, task, CPU, ROOT)
    learner.start()

    def call(number: int) -> None:
        for _ in range(BATCHES[NETWORK]):
            learner.step(portions)

    return call


def _patches(config: TrainConfig, photos: PhotoSet) -> Iterator[Tensor]:
    """What torchvision's loader gives: clean patches (B, 3, p, p) in [0, 1]."""
    order, augment = Order.of(photos, config.seed), Augment(config.patch_px)
    for start in count(0, config.batch_size):
        numbers = range(start, start + config.batch_size)
        patches = [augment(photos[order(n)], stream_seed(config.seed, n, "crop")) for n in numbers]
        yield torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255


def _batches(config: TrainConfig, photos: PhotoSet, loaders: int) -> Iterator[object]:
    """What training gets: inputs and targets at omegas of their own."""
    return Batches(photos, make_task(config.task, ROOT).to(CPU), _loading(config, loaders), CPU).from_step(0)


def _loading(config: TrainConfig, loaders: int) -> TrainConfig:
    return config.model_copy(update={"compute": config.compute.model_copy(update={"loaders": loaders})})


def _files(photos: PhotoSet, kind: str, scratch: Path) -> Path:
    """The photographs as files of one class, as ``ImageFolder`` wants them."""
    folder = scratch / kind
    (folder / "photographs").mkdir(parents=True)
    options: dict[str, Any] = {"quality": JPEG_QUALITY} if kind == "JPEG" else {}
    for number, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / "photographs" / f"{number:05d}.{kind.lower()}", kind, **options)
    return folder


def _torchvision(config: TrainConfig, folder: Path, workers: int) -> Iterator[Any]:
    cut = [v2.RandomCrop(config.patch_px), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
    made = v2.Compose([v2.ToImage(), *cut, v2.ToDtype(torch.float32, scale=True)])
    files = ImageFolder(folder, made)
    # Without end: an epoch of few photographs would time the start of its workers.
    sampler = RandomSampler(files, replacement=True, num_samples=10**9)
    context = "spawn" if workers else None
    return iter(
        DataLoader(
            files, config.batch_size, sampler=sampler, num_workers=workers, multiprocessing_context=context
        )
    )


def markdown(report: dict[str, Any]) -> str:
    """The same figures as a table."""
    machine, settings = report["machine"], report["settings"]
    used = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        f"# Whether the loader keeps up, on {machine['processor']}",
        "",
        f"{machine['cores']} cores, load {machine['load_before']} before; {used}. Network: "
        f"{settings['network']}, {settings['threads']} threads. {settings['photographs']} photographs of "
        f"{settings['mean_pixels'] / 1e6:.2f} megapixels, patches of {settings['patch_px']} px, batches of "
        f"{settings['batch_size']}. Variants are called in turn; medians over the rounds. Processes that "
        "load run on while others are timed, until a few batches wait: theirs is a head start.",
        "",
        "| | images/s | quartiles | over the network | rounds |",
        "|---|---:|---|---:|---:|",
    ]
    for row in report["rows"]:
        quartiles = f"{row['q1']:,.0f} to {row['q3']:,.0f}"
        cells = (
            row["name"],
            f"{row['images_per_s']:,.0f}",
            quartiles,
            f"{row['ratio']:.1f} x",
            str(row["rounds"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _verdict(report), ""])


def _verdict(report: dict[str, Any]) -> str:
    ours = [row for row in report["rows"] if row["name"].startswith(OURS)]
    met = [row["name"] for row in ours if row["ratio"] >= LEAST_RATIO]
    missed = [row["name"] for row in ours if row["ratio"] < LEAST_RATIO]
    parts = [f"At least {LEAST_RATIO:.0f} x the network: {'; '.join(met) or 'none'}."]
    return " ".join(parts + ([f"Less: {'; '.join(missed)}."] if missed else []))


if __name__ == "__main__":
    main()
