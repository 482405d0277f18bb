"""The ``prepare`` stage: photographs in, a training set and a test set of pixels out.

    artifacts/prepare/train/        a PhotoSet: what networks are fitted to
    artifacts/prepare/test/         a PhotoSet: read by evaluation only
    artifacts/prepare/record.json   what went where, what was left out and why

Near duplicates never stand on both sides. The same photographs and options give the same bytes.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.data.config import PrepareConfig
from pipelines.data.duplicates import group, leaks
from pipelines.data.folders import replaced_folder
from pipelines.data.intake import Intake, take_in
from pipelines.data.photos import INDEX, PhotoSet, write_photos
from pipelines.data.sources import SKIMAGE, SKIMAGE_PHOTOS
from pipelines.data.split import hold_out
from pipelines.errors import DataError
from pipelines.paths import Layout
from pipelines.records import write_json_atomic

TRAIN, TEST, RECORD = "train", "test", "record.json"

Record = dict[str, Any]


def run(config: PrepareConfig, layout: Layout) -> None:
    """Write ``artifacts/prepare``; an earlier one stays until the new one is complete.

    Disk space: all decoded photographs twice while the stage runs.

    Raises:
        DataError: a source is missing or empty, too much of it is unreadable, or no photograph is
            left for one of the sides.
    """
    with replaced_folder(layout.prepare) as folder, TemporaryDirectory(dir=folder) as scratch:
        record = _prepare(config, layout.root, folder, Path(scratch))
        write_json_atomic(folder / RECORD, record)
    print(_summary(record, layout), flush=True)


def _prepare(config: PrepareConfig, root: Path, folder: Path, scratch: Path) -> Record:
    pool = take_in(config.source, config, root, scratch / "source")
    names = pool.photos.names
    groups = group(pool.hashes, config.duplicate_distance)
    if config.test_source is None:
        exam, similar = None, dict[int, int]()
        held = tested = hold_out(names, groups, config.test_photos, config.seed)
    else:
        exam = take_in(config.test_source, config, root, scratch / "test_source")
        similar = leaks(pool.hashes, exam.hashes, config.duplicate_distance)
        held, tested = set(similar), set(range(len(exam.photos)))
        _check_some_left(pool, exam, held)
    train = _write_side(folder / TRAIN, pool.photos, set(range(len(names))) - held)
    test = _write_side(folder / TEST, (exam or pool).photos, tested)
    return {
        "schema": 1,
        "data_sha256": _data_sha256(folder),
        "license": config.license or _license(config.source, train.names),
        "seed": config.seed,
        "source": pool.account(),
        "test_source": exam and exam.account(),
        "near_duplicates": [[names[i] for i in same] for same in groups if len(same) > 1],
        "near_duplicates_of_test": {names[i]: test.names[j] for i, j in similar.items()},
        "train": _side(train),
        "test": _side(test),
    }


def _check_some_left(pool: Intake, exam: Intake, held: set[int]) -> None:
    if len(held) == len(pool.photos):
        raise DataError(
            f"expected photographs to train on in {pool.source!r}, got only near duplicates of "
            f"those in {exam.source!r}; use other photographs for one of them"
        )


def _write_side(folder: Path, photos: PhotoSet, positions: Iterable[int]) -> PhotoSet:
    names = photos.names
    return write_photos(folder, ((names[i], photos[i]) for i in sorted(positions)))


def _side(photos: PhotoSet) -> Record:
    return {
        "count": len(photos),
        "sha256": photos.index.sha256,
        "photos": [{"name": p.name, "height": p.height, "width": p.width} for p in photos.index.photos],
    }


def _data_sha256(folder: Path) -> str:
    """Of test/index.json and train/index.json, one after the other; they hold the pixel hashes."""
    indexes = [(folder / side / INDEX).read_bytes() for side in (TEST, TRAIN)]
    return hashlib.sha256(b"".join(indexes)).hexdigest()


def _license(source: str, trained_on: list[str]) -> str:
    if source != SKIMAGE:
        return "not stated"
    return "; ".join(f"{name}: {SKIMAGE_PHOTOS[name]}" for name in trained_on)


def _summary(record: Record, layout: Layout) -> str:
    accounts = [record["source"], record["test_source"] or {}]
    left_out = {
        "unreadable": sum(len(account.get("unreadable", [])) for account in accounts),
        "too small": sum(len(account.get("too_small", [])) for account in accounts),
        "like a test photograph": len(record["near_duplicates_of_test"]),
    }
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    return (
        f"prepare: {record['train']['count']} photographs to train on, {record['test']['count']} "
        f"to test on; left out: {reasons}; in {layout.prepare.relative_to(layout.root)}"
    )
