"""The ``prepare`` stage: decode photographs and split them for training, validation and test.

    artifacts/prepare/train/         a PhotoSet
    artifacts/prepare/validation/    a PhotoSet for validation during training; may be empty
    artifacts/prepare/test/          a PhotoSet for evaluation only
    artifacts/prepare/record.json    the split, and the skipped files with reasons

Near duplicates are never on two sides of the split. The same photographs and options give the same bytes.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import write_json_atomic
from pipelines.data.config import PrepareConfig
from pipelines.data.ingest import Ingest, ingest_source
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.data.sources import license_of
from pipelines.data.split import find_leaks, group_duplicates, hold_out
from zoo.durable import replace_folder

TRAIN, VALIDATION, TEST, RECORD = "train", "validation", "test", "record.json"

Record = dict[str, Any]


def run(config: PrepareConfig, layout: Layout) -> None:
    """Write ``artifacts/prepare``, replacing an earlier one when it is complete.

    Each photograph is decoded once. Needs disk space for all decoded photographs and a copy of the held out
    ones; with ``prepare.destination`` for the held out ones and one shard.

    Raises:
        DataError: a source is missing or empty, too much of it is unreadable, no photograph is left for one
            of the sides, or the disk or the destination cannot take them.
    """
    with replace_folder(layout.prepare) as folder:
        record = _prepare(config, layout.root, folder)
        write_json_atomic(folder / RECORD, record)
    print(_summarize_record(record, layout), flush=True)


def _prepare(config: PrepareConfig, root: Path, folder: Path) -> Record:
    pool = ingest_source(config.source, config, root, folder / TRAIN, config.destination)
    tests = config.test_source and ingest_source(config.test_source, config, root, folder / TEST)
    split = _split_pool(config, pool, tests or None)
    test = tests.photos if tests else _copy_photos(pool.photos, split.test, folder / TEST)
    validation = _copy_photos(pool.photos, split.validation, folder / VALIDATION)
    names = pool.photos.names
    train = pool.photos.restrict_to(split.train)
    return {
        "schema": 2,
        "data_sha256": _hash_sides(test, train, validation),
        "license": config.license or license_of(config.source, train.names),
        "seed": config.seed,
        "source": pool.summarize(),
        "test_source": tests.summarize() if tests else None,
        "near_duplicates": [[names[i] for i in same] for same in split.groups if len(same) > 1],
        "near_duplicates_of_test": {names[i]: test.names[j] for i, j in split.similar.items()},
        "train": _describe_side(train),
        "validation": _describe_side(validation),
        "test": _describe_side(test),
    }


@dataclass(frozen=True)
class _Split:
    """Positions in the source; ``similar`` are near duplicates of a test photograph of another source."""

    groups: list[list[int]]
    train: set[int]
    validation: set[int]
    test: set[int]
    similar: dict[int, int] = field(default_factory=dict)


def _split_pool(config: PrepareConfig, pool: Ingest, tests: Ingest | None) -> _Split:
    names = pool.photos.names
    groups = group_duplicates(pool.hashes, config.duplicate_distance)
    similar = find_leaks(pool.hashes, tests.hashes, config.duplicate_distance) if tests else {}
    test = set() if tests else hold_out(names, groups, _resolve_names(config.test_photos, pool), config.seed)
    left = set(range(len(names))) - test - set(similar)
    if not left:
        raise DataError(
            f"expected photographs to train on in {pool.source!r}, got only near duplicates of "
            f"those in {config.test_source!r}; use other photographs for one of them"
        )
    validation = set[int]()
    if config.validation_photos:
        free = [same for same in groups if left.issuperset(same)]
        option = "prepare.validation_photos"
        wanted = _resolve_names(config.validation_photos, pool)
        validation = hold_out(names, free, wanted, config.seed, option)
    return _Split(groups, left - validation, validation, test, similar)


def _resolve_names(wanted: int | Sequence[str], pool: Ingest) -> int | Sequence[str]:
    """Names of photographs, those of exact duplicates as the one that was kept."""
    return wanted if isinstance(wanted, int) else [pool.duplicates.get(name, name) for name in wanted]


def _copy_photos(photos: PhotoSet, positions: Iterable[int], folder: Path) -> PhotoSet:
    """Copy a few photographs into a local set, even if theirs is remote."""
    return write_photos(folder, photos.pick(sorted(positions)), may_be_empty=True)


def _describe_side(photos: PhotoSet) -> Record:
    return {
        "count": len(photos),
        "sha256": photos.index.sha256,
        "photos": [{"name": p.name, "height": p.height, "width": p.width} for p in photos.index.photos],
    }


def _hash_sides(*sides: PhotoSet) -> str:
    """SHA-256 of the concatenated digests of the sides."""
    return hashlib.sha256("".join(side.index.sha256 for side in sides).encode()).hexdigest()


def _summarize_record(record: Record, layout: Layout) -> str:
    accounts = [record["source"], record["test_source"] or {}]
    skipped = {
        "exact duplicates": sum(len(account.get("duplicates", [])) for account in accounts),
        "unreadable": sum(len(account.get("unreadable", [])) for account in accounts),
        "too small": sum(len(account.get("too_small", [])) for account in accounts),
        "near duplicates of a test photograph": len(record["near_duplicates_of_test"]),
    }
    reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
    train, watched, test = (record[side]["count"] for side in (TRAIN, VALIDATION, TEST))
    validation = f"{watched} for validation, " if watched else ""
    where = layout.prepare.relative_to(layout.root)
    sides = f"{train} photographs for training, {validation}{test} for test"
    return f"prepare: {sides}; skipped: {reasons}; in {where}"
