"""Published entries and downloads of a work tree, and the caches of this user."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipelines.core.layout import Layout
from pipelines.data.cache import cache_folder as shard_folder
from pipelines.data.cache import remove_unused
from pipelines.prune.item import Item, make_folder_item, measure_files, try_locks
from pipelines.prune.present import Present
from zoo import Store
from zoo.engine.graph_cache import cache_folder as graph_folder
from zoo.manifest import SEMANTIC


def find_entries(layout: Layout, present: Present) -> Iterator[Item]:
    """Entries of the work tree's own store."""
    store = Store(layout.store)
    for name in store.names():
        aliases = store.aliases(name)
        for version in store.versions(name):
            pointing = ", ".join(sorted(alias for alias, target in aliases.items() if target == version))
            keep = ""
            if (name, version) == (present.entry, present.version):
                keep = "the receipt in artifacts/publish names it"
            elif pointing:
                keep = f"alias {pointing}"
            elif SEMANTIC.fullmatch(version):
                keep = "it was given that version by hand"
            path = store.path(name, version)
            nbytes, used_at = measure_files(path.rglob("*"))
            yield Item(
                kind="store",
                path=path,
                why="neither an alias nor the receipt names it",
                keep=keep,
                nbytes=nbytes,
                used_at=used_at or path.stat().st_mtime,
                remove=_remover(store, name, version),
            )


def _remover(store: Store, name: str, version: str) -> Callable[[], bool]:
    return lambda: store.remove(name, version)


def find_downloads(layout: Layout, present: Present) -> Iterator[Item]:
    """Public sets of photographs as they were downloaded."""
    with try_locks([layout.lock("prepare")]) as idle:
        for folder in sorted(path for path in layout.downloads.glob("[!.]*") if path.is_dir()):
            keep = "" if idle else "photographs are being prepared in this work tree"
            if folder.name in present.sets:
                keep = "params.yaml names it as a source"
            yield make_folder_item("downloads", folder, why="downloaded again when named", keep=keep)


def find_caches(present: Present, older_than_days: float) -> Iterator[Item]:
    """Shards and graphs in this user's caches, which work trees share; recent files are an item each."""
    shards = sorted(shard_folder().glob("pixels-*.bin"))
    needed = [path for path in shards if path.name in present.shards]
    if needed:
        yield _make_cache_item(needed, "", "artifacts/prepare streams them")
    others = [path for path in shards if path.name not in present.shards]
    graphs = sorted(graph_folder().glob("*.graph"))
    for files, why in ((others, "streamed again when needed"), (graphs, "made again when needed")):
        old = [path for path in files if _make_cache_item([path], "", "").age_days >= older_than_days]
        recent = [path for path in files if path not in old]
        yield from (_make_cache_item(part, why, "") for part in (old, recent) if part)


def _make_cache_item(files: Sequence[Path], why: str, keep: str) -> Item:
    nbytes, used_at = measure_files(files)
    return Item(
        kind="caches",
        path=files[0].parent,
        why=f"{len(files)} file{'s' * (len(files) != 1)}, {why}",
        keep=keep,
        nbytes=nbytes,
        used_at=used_at,
        remove=lambda: all([remove_unused(file) for file in files]),  # what a process maps stays
    )
