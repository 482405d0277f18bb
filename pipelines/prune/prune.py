"""Which items of a work tree can go, and their deletion."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from pipelines.core.layout import Layout
from pipelines.prune.item import Item, remove_leftovers, try_locks
from pipelines.prune.present import Present
from pipelines.prune.state import find_runs, find_searches
from pipelines.prune.stored import find_caches, find_downloads, find_entries

KINDS = ("runs", "searches", "store", "downloads", "caches")
OWN = KINDS[:-1]
"""Of one work tree; caches are those of the user, and serve all work trees."""

STAGE = {"runs": ("train", "publish"), "searches": ("search",), "downloads": ("prepare",)}
"""Stages that write items of a kind."""


def list_items(layout: Layout, kinds: Collection[str], older_than_days: float) -> list[Item]:
    """The items of a work tree; those with an empty ``keep`` can go.

    Args:
        layout: of the work tree.
        kinds: some of :data:`KINDS`.
        older_than_days: what was changed or used since stays.

    Raises:
        ConfigError: ``params.yaml`` is invalid, so that what it needs is unknown.
        DataError: so is an artefact.
    """
    present = Present.of(layout)
    find = {
        "runs": lambda: find_runs(layout, present),
        "searches": lambda: find_searches(layout, present),
        "store": lambda: find_entries(layout, present),
        "downloads": lambda: find_downloads(layout, present),
        "caches": lambda: find_caches(present, older_than_days),
    }
    items = [item for kind in KINDS if kind in kinds for item in find[kind]()]
    return [_keep_recent(item, older_than_days) for item in items]


def _keep_recent(item: Item, older_than_days: float) -> Item:
    is_recent = not item.keep and item.age_days < older_than_days
    return replace(item, keep=f"used in the last {older_than_days:g} days") if is_recent else item


def delete_items(layout: Layout, kinds: Collection[str], older_than_days: float) -> list[Item]:
    """Delete what can go; no stage that writes such items can begin meanwhile.

    Args:
        layout: of the work tree.
        kinds: as :func:`list_items`.
        older_than_days: as there.

    Returns:
        All items; those that were deleted have an empty ``keep``.
    """
    items = list_items(layout, kinds, older_than_days)
    for folder in (layout.state, layout.downloads):
        remove_leftovers(folder)
    return [_delete(item, layout) for item in items]


def _delete(item: Item, layout: Layout) -> Item:
    if item.keep:
        return item
    with _stages_held(layout, STAGE.get(item.kind, ())) as idle:
        removed = idle and item.remove()
    return item if removed else replace(item, keep="in use since it was listed")


@contextmanager
def _stages_held(layout: Layout, stages: Sequence[str]) -> Iterator[bool]:
    paths = [layout.lock(stage) for stage in stages]
    with try_locks(paths) as idle:
        yield idle
