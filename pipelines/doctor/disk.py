"""Check of the disk: the work tree is writable, and what the stages will write fits."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryFile

import torch
from PIL import Image

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.data.sources import PhotoFile, list_photos
from pipelines.doctor.data import is_local
from pipelines.doctor.options import Options
from pipelines.doctor.report import Finding, format_bytes
from pipelines.tasks import make_task
from pipelines.training.config import TrainConfig

SAMPLED_HEADERS = 200
"""Photographs whose headers are read to estimate the size of all."""
WEIGHT_COPIES = 4
"""Of the trained weights: the artefact, and the copies of DVC's cache, the zoo and the tracking server."""
AMPLE = 2
"""Free space below so many times the need is a warning."""
FLOAT_BYTES = 4
"""Weights, gradients and the optimizer's state are float32 whatever the precision."""
OPTIMIZER_COPIES = 3
"""Numbers kept for each trained parameter beside itself: Adam's two moments, and an average."""


@dataclass(frozen=True)
class NetworkSize:
    """Parameters of a network.

    Attributes:
        parameters: all of them.
        trained: those that the optimizer changes.
    """

    parameters: int
    trained: int

    @property
    def weights_bytes(self) -> int:
        """Size of the file of trained weights."""
        return self.parameters * FLOAT_BYTES

    @property
    def checkpoint_bytes(self) -> int:
        """Size of one checkpoint."""
        return (self.parameters + OPTIMIZER_COPIES * self.trained) * FLOAT_BYTES


def measure_network(config: TrainConfig, root: Path) -> NetworkSize:
    """Count the parameters of the network that a run trains, without allocating them.

    Args:
        config: of the run.
        root: base of relative paths in the options.

    Raises:
        DataError: a file that the task names is missing.
        ConversionError: the network cannot be made tunable in this way.
    """
    # The weights it starts from do not change its size, and their file may be large.
    options = config.network.model_copy(update={"start": None})
    with torch.device("meta"):
        network = options.make(make_task(config.task, root).space, config.seed)
    parameters = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return NetworkSize(sum(n for n, _ in parameters), sum(n for n, trained in parameters if trained))


def check_disk(options: Options, layout: Layout) -> list[Finding]:
    """Check that the work tree is writable and has space for what these sections will write."""
    try:
        with TemporaryFile(dir=layout.root) as file:
            file.write(b"0")
            file.flush()
    except OSError as error:
        remedy = "make it writable for this user, free some space, or use another work tree"
        return [Finding.fault("disk", f"cannot write in {layout.root}: {error.strerror or error}", remedy)]
    needs: dict[str, int] = {}
    if options.prepare:
        needs["photographs"] = estimate_photo_bytes(options.prepare, layout)
    if options.train:
        size = measure_network(options.train, layout.root)
        needs |= estimate_run_bytes(size, options.train.compute.keep_checkpoints)
    return [compare_space(layout, needs)]


def compare_space(layout: Layout, needs: Mapping[str, int]) -> Finding:
    """Compare free space with the bytes that are to be written, by what they are."""
    free, need = shutil.disk_usage(layout.root).free, sum(needs.values())
    parts = ", ".join(f"{name} {format_bytes(count)}" for name, count in needs.items() if count)
    message = f"{format_bytes(free)} free in {layout.root}, about {format_bytes(need)} to be written"
    message += f": {parts}" if parts else ""
    remedy = "free some, move the work tree, or lower train.compute.keep_checkpoints"
    if free < need:
        return Finding.fault("disk", message, remedy)
    return Finding.warning("disk", message, remedy) if free < AMPLE * need else Finding.ok("disk", message)


def estimate_run_bytes(size: NetworkSize, keep: int) -> Mapping[str, int]:
    """What training and publishing write; the newest checkpoint is written before the oldest is removed."""
    return {"checkpoints": size.checkpoint_bytes * (keep + 1), "weights": size.weights_bytes * WEIGHT_COPIES}


def estimate_photo_bytes(config: PrepareConfig, layout: Layout) -> int:
    """Decoded size of the photographs that ``prepare`` has still to write; 0 if unknown."""
    if (layout.prepare / "record.json").is_file():
        return 0
    try:
        places = [place for place in (config.source, config.test_source) if place and is_local(place)]
        decoded = sum(_estimate_decoded(list_photos(place, layout.root).files, config) for place in places)
    except DataError:  # reported by the check of the sources
        return 0
    return min(decoded, config.shard_mb * 2**20) if config.destination else decoded


def _estimate_decoded(files: Sequence[PhotoFile], config: PrepareConfig) -> int:
    sample = files[:: ceil(len(files) / SAMPLED_HEADERS)]
    return 3 * sum(_count_pixels(file, config.max_side_px) for file in sample) * len(files) // len(sample)


def _count_pixels(file: PhotoFile, max_side_px: int | None) -> int:
    try:
        with Image.open(file.fetch()) as image:  # reads the header alone
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError):  # prepare counts and names them
        return 0
    factor = min(1.0, (max_side_px or max(width, height)) / max(width, height))
    return round(width * factor) * round(height * factor)
