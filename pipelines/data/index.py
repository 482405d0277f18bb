"""What a set of decoded photographs holds, and where each lies: ``index.json``."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.core.errors import DataError

INDEX = "index.json"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Photo(BaseModel):
    """Where the pixels of one photograph lie; lengths in pixels, the offset in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    shard: int = Field(ge=0)
    offset: int = Field(ge=0)
    sha256: Sha256
    """Of its pixels."""

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels."""
        return self.height * self.width * 3

    @property
    def end(self) -> int:
        """The first byte of its shard after it."""
        return self.offset + self.nbytes


class Shard(BaseModel):
    """One file of pixels, named after its content."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Sha256
    nbytes: int = Field(ge=1)

    @property
    def file(self) -> str:
        """Its name, beside the index or below the base URL."""
        return f"pixels-{self.sha256}.bin"


class Index(BaseModel):
    """Photographs in order, without overlaps, names once each.

    Not every byte of a shard must belong to a listed photograph: those held out for another set stay where
    they were written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[2] = Field(default=2, alias="schema")
    sha256: Sha256
    """Identifies the photographs: their names, sizes and pixels in order, and which of them share a shard."""
    base: str | None = None
    """URL of the folder that holds the shards; null: they lie beside the index."""
    shards: list[Shard]
    photos: list[Photo]

    @classmethod
    def of(cls, photos: Sequence[Photo], shards: Sequence[Shard], base: str | None) -> Self:
        """The index of those photographs; shards that hold none of them are left out.

        Raises:
            DataError: a name comes twice.
        """
        used = sorted({photo.shard for photo in photos})
        number = {shard: position for position, shard in enumerate(used)}
        kept = [photo.model_copy(update={"shard": number[photo.shard]}) for photo in photos]
        names = [photo.name for photo in photos]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(
                f"expected photographs with names of their own, got two photographs of one name, {twice!r}"
            )
        return cls(sha256=_digest(kept), base=base, shards=[shards[i] for i in used], photos=kept)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({photo.name for photo in self.photos}) < len(self.photos):
            raise ValueError("two photographs have one name")
        inside: dict[int, list[Photo]] = defaultdict(list)
        for photo in self.photos:
            inside[photo.shard].append(photo)
        if sorted(inside) != list(range(len(self.shards))):
            raise ValueError("photographs name other shards than there are")
        for number, photos in inside.items():
            if any(before.end > after.offset for before, after in pairwise(photos)):
                raise ValueError("photographs overlap")
            if photos[-1].end > self.shards[number].nbytes:
                raise ValueError("a photograph ends after its shard")
        if self.sha256 != _digest(self.photos):
            raise ValueError("the digest is not that of the photographs")
        return self


def _digest(photos: Sequence[Photo]) -> str:
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(repr((photo.name, photo.height, photo.width, photo.shard, photo.sha256)).encode())
    return digest.hexdigest()
