"""Photographs: where they come from, what was prepared of them, and whether they fit the training."""

from collections.abc import Mapping
from pathlib import Path

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json
from pipelines.data.config import PrepareConfig
from pipelines.data.photos import PhotoSet
from pipelines.data.public_sets import named_set
from pipelines.data.remote import is_url
from pipelines.data.sources import list_photos
from pipelines.doctor.finding import About, Finding
from pipelines.doctor.sizes import size
from pipelines.training.config import TrainConfig

ABOUT = About("data")

SIDES = ("train", "validation", "test")
PREPARE = "run: tunable run prepare"

INPUTS: Mapping[str, tuple[str, ...]] = {
    "train": ("artifacts/prepare/train",),
    "evaluate": (
        "artifacts/prepare/test",
        "artifacts/train/model.safetensors",
        "artifacts/train/record.json",
    ),
    "publish": ("artifacts/evaluate", "metrics/metrics.json", "artifacts/train/record.json"),
}
"""Stage: what an earlier one must have left for it."""


def sources(config: PrepareConfig, layout: Layout) -> list[Finding]:
    """The places that ``prepare`` reads from; nothing is decoded, and no public set downloaded."""
    named = {"prepare.source": config.source, "prepare.test_source": config.test_source}
    return [_source(option, place, config, layout) for option, place in named.items() if place]


def _source(option: str, place: str, config: PrepareConfig, layout: Layout) -> Finding:
    try:
        wanted = None if is_url(place) else named_set(place)
        if wanted is not None:
            url = config.mirror or wanted.chosen.url
            return ABOUT.ok(f"{option} {place!r}: prepare downloads it from {url}, which was not asked now")
        listing = list_photos(place, layout.root)
    except DataError as error:
        return ABOUT.fault(f"{option}: {error}", "")
    return ABOUT.ok(f"{option} {place!r}: {len(listing.files)} photographs, {listing.ignored} other files")


def is_local(place: str) -> bool:
    """Whether a source lies on this machine: it is no URL and no public set."""
    return not is_url(place) and named_set(place) is None


def prepared(layout: Layout, prepare: PrepareConfig | None, train: TrainConfig | None) -> list[Finding]:
    """The prepared sets: whole in size, of the present options' source, large enough for a patch."""
    folders = [layout.prepare / side for side in SIDES if (layout.prepare / side).is_dir()]
    if not folders:
        return [ABOUT.ok("no photographs are prepared yet")]
    found = [finding for folder in folders for finding in _side(folder, layout.root)]
    found += _same_source(layout, prepare) if prepare else []
    return found + (_patches(layout.prepare / "train", train) if train else [])


def _side(folder: Path, root: Path) -> list[Finding]:
    place = folder.relative_to(root)
    try:
        photos = PhotoSet.open(folder)
    except DataError as error:
        return [ABOUT.fault(str(error), PREPARE)]
    pixels = sum(photo.nbytes for photo in photos.index.photos)
    whole = f"{place}: {len(photos)} photographs, {size(pixels)} of pixels, files of the right size"
    return [ABOUT.ok(whole)] if len(photos) else []


def _same_source(layout: Layout, config: PrepareConfig) -> list[Finding]:
    record = layout.prepare / "record.json"
    if not record.is_file():
        return [ABOUT.fault(f"{layout.prepare} holds no record.json, which is written last", PREPARE)]
    was = {key: (read_json(record).get(key) or {}).get("source") for key in ("source", "test_source")}
    now = {"source": config.source, "test_source": config.test_source}
    if was == now:
        return []
    return [ABOUT.warning(f"prepared from {_places(was)}, params.yaml says {_places(now)}", PREPARE)]


def _places(named: Mapping[str, str | None]) -> str:
    return " and ".join(repr(place) for place in named.values() if place)


def _patches(folder: Path, config: TrainConfig) -> list[Finding]:
    try:
        photos = PhotoSet.open(folder).index.photos
    except DataError:  # told already
        return []
    small = [photo.name for photo in photos if min(photo.height, photo.width) < config.patch_px]
    if not small:
        return []
    return [
        ABOUT.fault(
            f"{len(small)} photographs are smaller than train.patch_px {config.patch_px}: {small[0]!r} first",
            f"lower it, or raise prepare.min_side_px to {config.patch_px} and {PREPARE}",
        )
    ]


def inputs(stage: str, layout: Layout) -> list[Finding]:
    """What earlier stages must have left for this one."""
    missing = [name for name in INPUTS.get(stage, ()) if not (layout.root / name).exists()]
    if not missing:
        return []
    return [ABOUT.fault(f"{stage} needs {', '.join(missing)}", f"run the stages before it: {layout.again}")]
