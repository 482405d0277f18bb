"""Decode the photographs of a source into a set, and account for the other files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.core.errors import DataError
from pipelines.core.progress import track_items
from pipelines.data.config import PrepareConfig
from pipelines.data.photos import PhotoSet, Pixels, write_photos
from pipelines.data.sources import Listing, decode_photo, list_photos
from pipelines.data.split import perceptual_hash
from zoo.errors import ImageError

MIB = 2**20


@dataclass
class Ingest:
    """Outcome for every file of a source."""

    source: str
    listing: Listing
    photos: PhotoSet = field(init=False)
    """The decoded photographs."""
    hashes: list[int] = field(default_factory=list)
    """Their perceptual hashes, in their order."""
    unreadable: list[str] = field(default_factory=list)
    too_small: list[str] = field(default_factory=list)

    def summarize(self) -> dict[str, object]:
        """As JSON values; the same on every machine that has the same files."""
        return {
            "source": self.source,
            "files": len(self.listing.files),
            "ignored_files": self.listing.ignored,
            "unreadable": self.unreadable,
            "too_small": self.too_small,
        }


def ingest_source(
    source: str, config: PrepareConfig, root: Path, folder: Path, destination: str | None = None
) -> Ingest:
    """Decode a source into ``folder``, one photograph in memory at a time.

    Args:
        source: as ``prepare.source``.
        config: limits for the photographs.
        root: folder that relative paths start from.
        folder: of the set.
        destination: as ``prepare.destination``.

    Raises:
        DataError: there is no photograph of sufficient size, or too many cannot be read.
    """
    ingest = Ingest(source, list_photos(source, root, config.mirror))
    ingest.photos = write_photos(
        folder, _decode_photos(ingest, config), shard_bytes=config.shard_mb * MIB, destination=destination
    )
    return ingest


def _decode_photos(ingest: Ingest, config: PrepareConfig) -> Iterator[tuple[str, Pixels]]:
    for file in track_items(ingest.listing.files, f"prepare: decoding {ingest.source}"):
        try:
            rgb = decode_photo(file.fetch(), config.max_side_px)
        except ImageError as error:
            print(f"prepare: skipped {file.name!r}: {error}", flush=True)
            ingest.unreadable.append(file.name)
            continue
        if min(rgb.shape[:2]) < config.min_side_px:
            ingest.too_small.append(file.name)
            continue
        ingest.hashes.append(perceptual_hash(rgb))
        yield file.name, rgb
    _check_counts(ingest, config)


def _check_counts(ingest: Ingest, config: PrepareConfig) -> None:
    total, bad = len(ingest.listing.files), len(ingest.unreadable)
    if bad > max(1, config.max_unreadable_fraction * total):  # one alone is never fatal
        raise DataError(
            f"expected at most {config.max_unreadable_fraction:.1%} unreadable files in "
            f"{ingest.source!r}, got {bad} of {total} ({_join_names(ingest.unreadable)}); repair or "
            "remove them, or raise prepare.max_unreadable_fraction"
        )
    if not ingest.hashes:
        raise DataError(
            f"expected photographs of at least {config.min_side_px} px in {ingest.source!r}, got "
            f"{len(ingest.too_small)} smaller and {bad} unreadable; lower prepare.min_side_px or "
            "use other photographs"
        )


def _join_names(names: list[str], limit: int = 5) -> str:
    more = [f"and {len(names) - limit} more"] if len(names) > limit else []
    return ", ".join([*map(repr, names[:limit]), *more])
