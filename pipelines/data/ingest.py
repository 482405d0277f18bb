"""Taking in one source: its photographs decoded into a set, and an account of the other files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.core.errors import DataError
from pipelines.core.progress import progress
from pipelines.data.config import PrepareConfig
from pipelines.data.duplicates import perceptual_hash
from pipelines.data.photos import PhotoSet, Pixels, write_photos
from pipelines.data.sources import Listing, decode, list_photos
from zoo.errors import ImageError

MIB = 2**20


@dataclass
class Intake:
    """What became of the files of one source."""

    source: str
    listing: Listing
    photos: PhotoSet = field(init=False)
    """The photographs taken in."""
    hashes: list[int] = field(default_factory=list)
    """Their perceptual hashes, in their order."""
    unreadable: list[str] = field(default_factory=list)
    too_small: list[str] = field(default_factory=list)

    def account(self) -> dict[str, object]:
        """The same on every machine that has the same files."""
        return {
            "source": self.source,
            "files": len(self.listing.files),
            "ignored_files": self.listing.ignored,
            "unreadable": self.unreadable,
            "too_small": self.too_small,
        }


def take_in(
    source: str, config: PrepareConfig, root: Path, folder: Path, destination: str | None = None
) -> Intake:
    """Decode a source into ``folder``, one photograph in memory at a time.

    Args:
        source: as ``prepare.source``.
        config: says what is taken.
        root: of the work tree.
        folder: where the set will be.
        destination: as ``prepare.destination``.

    Raises:
        DataError: there is no photograph of sufficient size, or too many cannot be read.
    """
    intake = Intake(source, list_photos(source, root, config.mirror))
    intake.photos = write_photos(
        folder, _decoded(intake, config), shard_bytes=config.shard_mb * MIB, destination=destination
    )
    return intake


def _decoded(intake: Intake, config: PrepareConfig) -> Iterator[tuple[str, Pixels]]:
    for file in progress(intake.listing.files, f"prepare: decoding {intake.source}"):
        try:
            rgb = decode(file.content(), config.max_side_px)
        except ImageError as error:
            print(f"prepare: left out {file.name!r}: {error}", flush=True)
            intake.unreadable.append(file.name)
            continue
        if min(rgb.shape[:2]) < config.min_side_px:
            intake.too_small.append(file.name)
            continue
        intake.hashes.append(perceptual_hash(rgb))
        yield file.name, rgb
    _check(intake, config)


def _check(intake: Intake, config: PrepareConfig) -> None:
    total, bad = len(intake.listing.files), len(intake.unreadable)
    if bad > max(1, config.max_unreadable_fraction * total):  # one alone is never fatal
        raise DataError(
            f"expected at most {config.max_unreadable_fraction:.1%} unreadable files in "
            f"{intake.source!r}, got {bad} of {total} ({_some(intake.unreadable)}); repair or "
            "remove them, or raise prepare.max_unreadable_fraction"
        )
    if not intake.hashes:
        raise DataError(
            f"expected photographs of at least {config.min_side_px} px in {intake.source!r}, got "
            f"{len(intake.too_small)} smaller and {bad} unreadable; lower prepare.min_side_px or "
            "use other photographs"
        )


def _some(names: list[str], limit: int = 5) -> str:
    more = [f"and {len(names) - limit} more"] if len(names) > limit else []
    return ", ".join([*map(repr, names[:limit]), *more])
