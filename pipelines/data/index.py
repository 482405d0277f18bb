"""The index of a set of decoded photographs, ``index.json``, and memory maps of its shards."""

import fcntl
import hashlib
import mmap
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.core.errors import DataError

INDEX = "index.json"

Bytes = npt.NDArray[np.uint8]

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Photo(BaseModel):
    """The place of one photograph's pixels in a shard; height and width in pixels, the offset in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    shard: int = Field(ge=0)
    offset: int = Field(ge=0)
    sha256: Sha256
    """Digest of its pixels."""

    @property
    def nbytes(self) -> int:
        """Size of its pixels in bytes."""
        return self.height * self.width * 3

    @property
    def end(self) -> int:
        """Offset of the first byte after its pixels."""
        return self.offset + self.nbytes


class Shard(BaseModel):
    """A file of pixels, named after its content."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Sha256
    nbytes: int = Field(ge=1)

    @property
    def file(self) -> str:
        """File name, beside the index or below the base URL."""
        return f"pixels-{self.sha256}.bin"


class Index(BaseModel):
    """Photographs in order, with unique names and no overlaps.

    A shard may hold pixels of no listed photograph, which were held out for another set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[2] = Field(default=2, alias="schema")
    sha256: Sha256
    """Identifies the photographs: their names, sizes and pixels in order, and which of them share a shard."""
    base: str | None = None
    """URL of the folder of the shards; null: the folder of the index."""
    shards: list[Shard]
    photos: list[Photo]

    @classmethod
    def of(cls, photos: Sequence[Photo], shards: Sequence[Shard], base: str | None) -> Self:
        """Index those photographs; shards without one of them are left out.

        Raises:
            DataError: two photographs have the same name.
        """
        used = sorted({photo.shard for photo in photos})
        number = {shard: position for position, shard in enumerate(used)}
        kept = [photo.model_copy(update={"shard": number[photo.shard]}) for photo in photos]
        names = [photo.name for photo in photos]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"expected unique names of photographs, got {twice!r} twice")
        return cls(sha256=_hash_photos(kept), base=base, shards=[shards[i] for i in used], photos=kept)

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if len({photo.name for photo in self.photos}) < len(self.photos):
            raise ValueError("two photographs have the same name")
        inside: dict[int, list[Photo]] = defaultdict(list)
        for photo in self.photos:
            inside[photo.shard].append(photo)
        if sorted(inside) != list(range(len(self.shards))):
            raise ValueError("the shards of the photographs are not those listed")
        for number, photos in inside.items():
            if any(before.end > after.offset for before, after in pairwise(photos)):
                raise ValueError("photographs overlap")
            if photos[-1].end > self.shards[number].nbytes:
                raise ValueError("a photograph ends after the end of its shard")
        if self.sha256 != _hash_photos(self.photos):
            raise ValueError("the digest is not that of the photographs")
        return self


def _hash_photos(photos: Sequence[Photo]) -> str:
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(repr((photo.name, photo.height, photo.width, photo.shard, photo.sha256)).encode())
    return digest.hexdigest()


def map_file(path: Path, nbytes: int, lock: bool = False) -> Bytes:
    """Map a file into memory, read-only; its bytes are read when they are accessed.

    Args:
        path: the file.
        nbytes: size that it must have.
        lock: hold a shared lock on the file for as long as the map, or a view of it, is in use.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it has another size.
    """
    with path.open("rb") as file:
        if lock:
            # The map keeps a duplicate of this descriptor, and with it the lock.
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_SH)
        # Reading past the end of a truncated file would kill the process, so check the size first.
        got = file.seek(0, 2)
        if got != nbytes:
            raise DataError(
                f"expected {nbytes} bytes in {path.name} in {path.parent}, got {got}; "
                "write the photographs again: tunable run prepare"
            )
        return np.frombuffer(mmap.mmap(file.fileno(), nbytes, access=mmap.ACCESS_READ), np.uint8)
