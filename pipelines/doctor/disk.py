"""Disk: the work tree can be written, and what a run will put there fits."""

import shutil
from collections.abc import Mapping, Sequence
from math import ceil
from tempfile import TemporaryFile

from PIL import Image

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.data.sources import PhotoFile, list_photos
from pipelines.doctor.data import is_local
from pipelines.doctor.finding import About, Finding
from pipelines.doctor.network import Size
from pipelines.doctor.sizes import size

ABOUT = About("disk")

PEEKED = 200
"""Photographs whose headers are read; the size of the others is taken from them."""

COPIES = 4
"""Of the weights after all stages: the artefact, DVC's cache, the zoo's entry and the tracker's."""

AMPLE = 2
"""Free space is worth a warning below so many times the need."""


def writable(layout: Layout) -> list[Finding]:
    """Whether a file can be made in the work tree; it has no name, and is gone at once."""
    try:
        with TemporaryFile(dir=layout.root) as file:
            file.write(b"0")
            file.flush()
    except OSError as error:
        remedy = "give yourself the right to write there, make room, or use another work tree"
        return [ABOUT.fault(f"cannot write in {layout.root}: {error.strerror or error}", remedy)]
    return []


def room(layout: Layout, needs: Mapping[str, int]) -> list[Finding]:
    """Free space against the bytes that are to come, by what they are."""
    free, need = shutil.disk_usage(layout.root).free, sum(needs.values())
    parts = ", ".join(f"{name} {size(count)}" for name, count in needs.items() if count)
    message = f"{size(free)} free in {layout.root}, about {size(need)} to come" + (
        f": {parts}" if parts else ""
    )
    remedy = "make room, or move the work tree; params.yaml: lower train.compute.keep_checkpoints"
    if free < need:
        return [ABOUT.fault(message, remedy)]
    return [ABOUT.warning(message, remedy) if free < AMPLE * need else ABOUT.ok(message)]


def photographs_bytes(config: PrepareConfig, layout: Layout) -> int:
    """Of decoded photographs that ``prepare`` has still to write, from the headers of some; 0 if unknown."""
    if (layout.prepare / "record.json").is_file():
        return 0
    try:
        places = [place for place in (config.source, config.test_source) if place and is_local(place)]
        decoded = sum(_decoded(list_photos(place, layout.root).files, config) for place in places)
    except DataError:  # told by the check of the sources
        return 0
    return min(decoded, config.shard_mb * 2**20) if config.destination else decoded


def _decoded(files: Sequence[PhotoFile], config: PrepareConfig) -> int:
    peeked = [_pixels(file, config.max_side_px) for file in files[:: ceil(len(files) / PEEKED)]]
    return 3 * sum(peeked) * len(files) // len(peeked)


def _pixels(file: PhotoFile, max_side_px: int | None) -> int:
    try:
        with Image.open(file.content()) as image:  # reads the header alone
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError):  # prepare counts and names them
        return 0
    factor = min(1.0, (max_side_px or max(width, height)) / max(width, height))
    return round(width * factor) * round(height * factor)


def run_bytes(network: Size, keep: int) -> Mapping[str, int]:
    """What training and publishing write; one checkpoint more than stay, since the new one comes first."""
    return {
        "checkpoints": network.checkpoint_bytes * (keep + 1),
        "weights": network.weights_bytes * COPIES,
    }
