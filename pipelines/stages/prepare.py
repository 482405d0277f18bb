"""The ``prepare`` stage: photographs in, sets of pixels to train, to watch and to test on out.

    artifacts/prepare/train/         a PhotoSet: what networks are fitted to
    artifacts/prepare/validation/    a PhotoSet: watched while they are fitted; may be empty
    artifacts/prepare/test/          a PhotoSet: read by evaluation only
    artifacts/prepare/record.json    what went where, what was left out and why

Near duplicates never stand on two sides. The same photographs and options give the same bytes.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import write_json_atomic
from pipelines.data.config import PrepareConfig
from pipelines.data.duplicates import group, leaks
from pipelines.data.folders import replaced_folder
from pipelines.data.ingest import Intake, take_in
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.data.sources import license_of
from pipelines.data.split import hold_out

TRAIN, VALIDATION, TEST, RECORD = "train", "validation", "test", "record.json"

Record = dict[str, Any]


def run(config: PrepareConfig, layout: Layout) -> None:
    """Write ``artifacts/prepare``; an earlier one stays until the new one is complete.

    Each photograph is decoded once. Disk space: all decoded photographs, and the held out ones again; with
    ``prepare.destination`` those and one shard.

    Raises:
        DataError: a source is missing or empty, too much of it is unreadable, no photograph is left for one
            of the sides, or the disk or the destination cannot take them.
    """
    with replaced_folder(layout.prepare) as folder:
        record = _prepare(config, layout.root, folder)
        write_json_atomic(folder / RECORD, record)
    print(_summary(record, layout), flush=True)


def _prepare(config: PrepareConfig, root: Path, folder: Path) -> Record:
    pool = take_in(config.source, config, root, folder / TRAIN, config.destination)
    exam = config.test_source and take_in(config.test_source, config, root, folder / TEST)
    split = _split(config, pool, exam or None)
    test = exam.photos if exam else _copied(pool.photos, split.test, folder / TEST)
    validation = _copied(pool.photos, split.validation, folder / VALIDATION)
    names = pool.photos.names
    train = pool.photos.only(split.train)
    return {
        "schema": 2,
        "data_sha256": _data_sha256(test, train, validation),
        "license": config.license or license_of(config.source, train.names),
        "seed": config.seed,
        "source": pool.account(),
        "test_source": exam.account() if exam else None,
        "near_duplicates": [[names[i] for i in same] for same in split.groups if len(same) > 1],
        "near_duplicates_of_test": {names[i]: test.names[j] for i, j in split.similar.items()},
        "train": _side(train),
        "validation": _side(validation),
        "test": _side(test),
    }


@dataclass(frozen=True)
class _Split:
    """Positions in the source; ``similar`` those left out for a test photograph of another source."""

    groups: list[list[int]]
    train: set[int]
    validation: set[int]
    test: set[int]
    similar: dict[int, int] = field(default_factory=dict)


def _split(config: PrepareConfig, pool: Intake, exam: Intake | None) -> _Split:
    names = pool.photos.names
    groups = group(pool.hashes, config.duplicate_distance)
    similar = leaks(pool.hashes, exam.hashes, config.duplicate_distance) if exam else {}
    test = set() if exam else hold_out(names, groups, config.test_photos, config.seed)
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
        validation = hold_out(names, free, config.validation_photos, config.seed, option)
    return _Split(groups, left - validation, validation, test, similar)


def _copied(photos: PhotoSet, positions: Iterable[int], folder: Path) -> PhotoSet:
    """A set of a few, which lies here even if the photographs lie elsewhere."""
    return write_photos(folder, photos.pick(sorted(positions)), may_be_empty=True)


def _side(photos: PhotoSet) -> Record:
    return {
        "count": len(photos),
        "sha256": photos.index.sha256,
        "photos": [{"name": p.name, "height": p.height, "width": p.width} for p in photos.index.photos],
    }


def _data_sha256(*sides: PhotoSet) -> str:
    """Of the digests of the sides, one after the other."""
    return hashlib.sha256("".join(side.index.sha256 for side in sides).encode()).hexdigest()


def _summary(record: Record, layout: Layout) -> str:
    accounts = [record["source"], record["test_source"] or {}]
    left_out = {
        "unreadable": sum(len(account.get("unreadable", [])) for account in accounts),
        "too small": sum(len(account.get("too_small", [])) for account in accounts),
        "like a test photograph": len(record["near_duplicates_of_test"]),
    }
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    watched = f"{record['validation']['count']} to watch, " if record["validation"]["count"] else ""
    return (
        f"prepare: {record['train']['count']} photographs to train on, {watched}{record['test']['count']} "
        f"to test on; left out: {reasons}; in {layout.prepare.relative_to(layout.root)}"
    )
