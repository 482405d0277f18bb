"""Decode the photographs of a source into a set, and account for the other files."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.core.errors import DataError
from pipelines.core.progress import track_items
from pipelines.data.config import PrepareConfig
from pipelines.data.decoding import Decoded, decode_files
from pipelines.data.photos import PhotoSet, Pixels, write_photos
from pipelines.data.sources import Listing, list_photos

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
    duplicates: dict[str, str] = field(default_factory=dict)
    """Files with the same pixels as an earlier one, which is in the set, and its name."""
    unreadable: list[str] = field(default_factory=list)
    fault: str = ""
    """Why the first of those cannot be read."""
    too_small: list[str] = field(default_factory=list)

    def summarize(self) -> dict[str, object]:
        """As JSON values; the same on every machine that has the same files."""
        return {
            "source": self.source,
            "files": len(self.listing.files),
            "ignored_files": dict(self.listing.ignored),
            "duplicates": self.duplicates,
            "unreadable": self.unreadable,
            "too_small": self.too_small,
        }


def ingest_source(
    source: str, config: PrepareConfig, root: Path, folder: Path, destination: str | None = None
) -> Ingest:
    """Decode a source into ``folder``, a few photographs in memory at a time.

    Of exact duplicates the first by name is kept.

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
    if ingest.listing.ignored:
        counts = format_counts(ingest.listing.ignored)
        print(f"prepare: ignored files of {source} that are no photographs: {counts}", flush=True)
    ingest.photos = write_photos(
        folder, _decode_photos(ingest, config), shard_bytes=config.shard_mb * MIB, destination=destination
    )
    return ingest


def format_counts(ignored: Mapping[str, int]) -> str:
    """Such as ``3 .mov, 1 .txt``."""
    return ", ".join(f"{count} {suffix}" for suffix, count in ignored.items())


def _decode_photos(ingest: Ingest, config: PrepareConfig) -> Iterator[tuple[str, Pixels]]:
    files, first_of = ingest.listing.files, dict[str, str]()
    with closing(decode_files(files, config.max_side_px, config.processes)) as results:
        for file in track_items(files, f"prepare: decoding {ingest.source}"):
            decoded = next(results)
            if decoded.rgb is None:
                _report_unreadable(ingest, file.name, decoded)
            elif min(decoded.rgb.shape[:2]) < config.min_side_px:
                ingest.too_small.append(file.name)
            elif (first := first_of.setdefault(decoded.digest, file.name)) != file.name:
                ingest.duplicates[file.name] = first
            else:
                ingest.hashes.append(decoded.phash)
                yield file.name, decoded.rgb
    _check_counts(ingest, config)


def _report_unreadable(ingest: Ingest, name: str, decoded: Decoded) -> None:
    print(f"prepare: skipped {name!r}: {decoded.fault}", flush=True)
    ingest.unreadable.append(name)
    ingest.fault = ingest.fault or decoded.fault


def _check_counts(ingest: Ingest, config: PrepareConfig) -> None:
    total, bad = len(ingest.listing.files), len(ingest.unreadable)
    if bad > max(1, config.max_unreadable_fraction * total):  # one alone is never fatal
        raise DataError(
            f"expected at most {config.max_unreadable_fraction:.1%} unreadable files in "
            f"{ingest.source!r}, got {bad} of {total} ({_join_names(ingest.unreadable)}; {ingest.fault}); "
            "repair or remove them, or raise prepare.max_unreadable_fraction"
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
