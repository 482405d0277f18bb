"""Photographs that lie at a URL: the place answers, and what training needs of them at once is kept here."""

import shutil
from itertools import accumulate
from math import ceil
from pathlib import Path

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.cache import CACHE_VARIABLE, cache_folder
from pipelines.data.index import Index
from pipelines.data.photos import PhotoSet
from pipelines.data.remote import Remote
from pipelines.doctor.finding import About, Finding
from pipelines.doctor.sizes import size
from pipelines.training.config import TrainConfig

ABOUT = About("streaming")


def streaming(layout: Layout, config: TrainConfig) -> list[Finding]:
    """Whether training photographs can be streamed; no finding where they lie in the work tree.

    Args:
        layout: of the work tree.
        config: whose ``compute.cache_gb`` bounds what is kept, and ``window`` what is needed at once.
    """
    limit = round(config.compute.cache_gb * 1e9)
    folder = layout.prepare / "train"
    if not folder.is_dir():
        return []
    try:
        index = PhotoSet.open(folder, cache_bytes=limit).index
    except DataError as error:
        return [ABOUT.fault(str(error), "")]
    if index.base is None:
        return []
    return [_answers(index, index.base), _room(index, limit), *_at_once(index, config)]


def _answers(index: Index, base: str) -> Finding:
    """Whether the first shard is where it should be; the others are checked when they are fetched."""
    shard = index.shards[0]
    try:
        found = Remote(base).nbytes(shard.file)
    except DataError as error:
        return ABOUT.fault(str(error), "")
    if found != shard.nbytes:
        got = "no such file" if found is None else f"{found} bytes"
        remedy = "put it back, or run: tunable run prepare"
        return ABOUT.fault(f"{base}: expected {shard.nbytes} bytes in {shard.file}, got {got}", remedy)
    total = sum(shard.nbytes for shard in index.shards)
    return ABOUT.ok(f"{base} answers; {len(index.shards)} shards, {size(total)}")


def _room(index: Index, limit: int) -> Finding:
    folder = cache_folder()
    need = min(limit, sum(shard.nbytes for shard in index.shards))
    free = shutil.disk_usage(_there(folder)).free
    here = sum(path.stat().st_size for path in folder.glob("*") if path.is_file())
    message = f"{size(free)} free in {folder}, {size(max(0, need - here))} of photographs to be kept there"
    if free < need - here:
        remedy = f"make room, lower train.compute.cache_gb, or export {CACHE_VARIABLE}=/another/folder"
        return ABOUT.fault(message, remedy)
    return ABOUT.ok(message)


def _at_once(index: Index, config: TrainConfig) -> list[Finding]:
    """A fault if the cache cannot hold the shards that training needs at once.

    With a window these are its own and those of the next, which are fetched meanwhile; without, all.
    """
    largest_first = sorted((shard.nbytes for shard in index.shards), reverse=True)
    window, cache_gb = config.window, config.compute.cache_gb
    needed = largest_first if window is None else largest_first[: 2 * window]
    if sum(needed) <= round(cache_gb * 1e9):
        return []
    why = "samples come from all" if window is None else "two windows hold up to"
    message = (
        f"train.window {window or 'null'}: {why} {len(needed)} shards, {size(sum(needed))}, more than "
        f"train.compute.cache_gb {cache_gb:g}; training would wait for shards again and again"
    )
    return [ABOUT.fault(message, _larger_or_fewer(largest_first, sum(needed), cache_gb))]


def _larger_or_fewer(largest_first: list[int], needed: int, cache_gb: float) -> str:
    fitting = sum(total <= round(cache_gb * 1e9) for total in accumulate(largest_first))
    larger = f"train.compute.cache_gb to {ceil(needed / 1e6) / 1e3:g}"
    if fitting < 2:
        return f"set {larger}, or prepare with a smaller prepare.shard_mb"
    return f"set train.window to {fitting // 2} at most, or {larger}"


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
