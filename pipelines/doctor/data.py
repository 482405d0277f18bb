"""Checks of photographs, and of URLs: sources, prepared sets, streamed shards, copies of checkpoints."""

import secrets
from collections.abc import Mapping
from itertools import accumulate
from math import ceil
from pathlib import Path
from tempfile import NamedTemporaryFile

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json
from pipelines.data.config import PrepareConfig
from pipelines.data.index import Index
from pipelines.data.photos import PhotoSet
from pipelines.data.public_sets import find_set
from pipelines.data.remote import Remote, is_url
from pipelines.data.sources import list_photos
from pipelines.doctor.report import Finding, format_bytes
from pipelines.training.config import TrainConfig

SPLITS = ("train", "validation", "test")
PREPARE = "run: tunable run prepare"

INPUTS: Mapping[str, tuple[str, ...]] = {
    "train": ("artifacts/prepare/train",),
    "evaluate": (
        "artifacts/prepare/test",
        "artifacts/train/model.safetensors",
        "artifacts/train/record.json",
    ),
    "publish": ("artifacts/evaluate", "artifacts/train/record.json"),
}
"""What a stage reads from earlier ones."""


def check_inputs(stage: str, layout: Layout) -> list[Finding]:
    """Check that earlier stages have written what this one reads."""
    missing = [name for name in INPUTS.get(stage, ()) if not (layout.root / name).exists()]
    if not missing:
        return []
    remedy = f"run the stages before it: {layout.resume_command}"
    return [Finding.fault("data", f"{stage} needs {', '.join(missing)}", remedy)]


def check_sources(config: PrepareConfig, layout: Layout) -> list[Finding]:
    """List the photographs that ``prepare`` reads; nothing is decoded, and no public set downloaded."""
    options = {"prepare.source": config.source, "prepare.test_source": config.test_source}
    return [_check_source(name, place, config, layout) for name, place in options.items() if place]


def _check_source(option: str, place: str, config: PrepareConfig, layout: Layout) -> Finding:
    try:
        public = None if is_url(place) else find_set(place)
        if public is not None:
            url = config.mirror or public.set.url
            return Finding.ok("data", f"{option} {place!r}: downloaded from {url}, which is not checked")
        listing = list_photos(place, layout.root)
    except DataError as error:
        return Finding.fault("data", f"{option}: {error}", "")
    counts = f"{len(listing.files)} photographs, {sum(listing.ignored.values())} other files"
    return Finding.ok("data", f"{option} {place!r}: {counts}")


def is_local(place: str) -> bool:
    """Whether a source is a folder of this machine: neither a URL nor a public set."""
    return not is_url(place) and find_set(place) is None


def check_prepared(layout: Layout, prepare: PrepareConfig | None, train: TrainConfig | None) -> list[Finding]:
    """Check the prepared sets: sizes of files and photographs, and that the source has not changed."""
    folders = [layout.prepare / split for split in SPLITS if (layout.prepare / split).is_dir()]
    if not folders:
        return [Finding.ok("data", "no photographs are prepared yet")]
    found: list[Finding] = []
    for folder in folders:
        try:
            photos = PhotoSet.open(folder)
        except DataError as error:
            found.append(Finding.fault("data", str(error), PREPARE))
            continue
        if len(photos):
            size = format_bytes(sum(photo.nbytes for photo in photos.index.photos))
            where = folder.relative_to(layout.root)
            found.append(Finding.ok("data", f"{where}: {len(photos)} photographs, {size} of pixels"))
        if train and folder.name == "train":
            found += _check_patches(photos, train)
    return found + (_compare_source(layout, prepare) if prepare else [])


def _check_patches(photos: PhotoSet, config: TrainConfig) -> list[Finding]:
    small = [photo.name for photo in photos.index.photos if min(photo.height, photo.width) < config.patch_px]
    if not small:
        return []
    message = (
        f"{len(small)} photographs are smaller than train.patch_px {config.patch_px}: {small[0]!r} first"
    )
    remedy = f"lower it, or raise prepare.min_side_px to {config.patch_px} and {PREPARE}"
    return [Finding.fault("data", message, remedy)]


def _compare_source(layout: Layout, config: PrepareConfig) -> list[Finding]:
    record = layout.prepare / "record.json"
    if not record.is_file():
        return [Finding.fault("data", f"{record} is missing: prepare did not complete", PREPARE)]
    values = read_json(record)
    before = [(values.get(key) or {}).get("source") for key in ("source", "test_source")]
    now = [config.source, config.test_source]
    if before == now:
        return []
    old, new = (" and ".join(repr(place) for place in places if place) for places in (before, now))
    return [Finding.warning("data", f"prepared from {old}, params.yaml says {new}", PREPARE)]


def check_streaming(layout: Layout, config: TrainConfig) -> list[Finding]:
    """Check shards at a URL: the first one is there, and the local cache can hold what training needs.

    There is no finding where the prepared photographs are local.
    """
    limit = round(config.compute.cache_gb * 1e9)
    folder = layout.prepare / "train"
    if not folder.is_dir():
        return []
    try:
        index = PhotoSet.open(folder, cache_bytes=limit).index
        if index.base is None:
            return []
        return [_check_first_shard(index, index.base), *_check_window(index, config)]
    except DataError as error:
        return [Finding.fault("streaming", str(error), "")]


def check_storage(url: str) -> list[Finding]:
    """Check that the storage of checkpoints takes a small file, gives it back and removes it."""
    storage, name, token = Remote(url), f"doctor-{secrets.token_hex(8)}", secrets.token_bytes(16)
    try:
        with NamedTemporaryFile() as file:
            file.write(token)
            file.flush()
            storage.upload(Path(file.name), name)
        got = storage.read(name)
        storage.remove(name)
    except DataError as error:
        return [Finding.fault("storage", str(error), "repair train.compute.storage")]
    if got != token:
        return [
            Finding.fault("storage", f"{url} gave back another file", "name another train.compute.storage")
        ]
    return [Finding.ok("storage", f"{url} takes files, gives them back and removes them")]


def _check_first_shard(index: Index, base: str) -> Finding:
    shard = index.shards[0]
    found = Remote(base).nbytes(shard.file)
    if found != shard.nbytes:
        got = "no such file" if found is None else f"{found} bytes"
        message = f"{base}: expected {shard.nbytes} bytes in {shard.file}, got {got}"
        return Finding.fault("streaming", message, f"restore it, or {PREPARE}")
    size = format_bytes(sum(shard.nbytes for shard in index.shards))
    return Finding.ok("streaming", f"{base} answers; {len(index.shards)} shards, {size}")


def _check_window(index: Index, config: TrainConfig) -> list[Finding]:
    """Report a cache that cannot hold the shards needed at once: two windows of them, or all without one."""
    sizes = sorted((shard.nbytes for shard in index.shards), reverse=True)
    window, cache_gb = config.window, config.compute.cache_gb
    needed = sizes if window is None else sizes[: 2 * window]
    limit = round(cache_gb * 1e9)
    if sum(needed) <= limit:
        return []
    use = "samples come from all" if window is None else "two windows hold up to"
    message = (
        f"train.window {window or 'null'}: {use} {len(needed)} shards, {format_bytes(sum(needed))}, "
        f"more than train.compute.cache_gb {cache_gb:g}; training would download shards again and again"
    )
    fitting = sum(total <= limit for total in accumulate(sizes)) // 2
    larger = f"train.compute.cache_gb to {ceil(sum(needed) / 1e6) / 1e3:g}"
    smaller = f"set train.window to at most {fitting}, or {larger}"
    remedy = smaller if fitting else f"set {larger}, or prepare with a smaller prepare.shard_mb"
    return [Finding.fault("streaming", message, remedy)]
