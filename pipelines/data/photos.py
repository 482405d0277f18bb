"""Photographs decoded once: one file of pixels, mapped into memory by whoever reads it.

    <folder>/pixels.bin   uint8 RGB, the rows of one photograph after the other, no gaps
    <folder>/index.json   name, height, width and offset of each, SHA-256 of pixels.bin

Processes on one machine share the pages of the file, and a crop reads only the rows it needs.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.data.folders import replaced_folder
from pipelines.errors import DataError
from pipelines.records import sha256_file, write_json_atomic

Pixels = npt.NDArray[np.uint8]

PIXELS = "pixels.bin"
INDEX = "index.json"


class Photo(BaseModel):
    """Where one photograph lies in the file of pixels; lengths in pixels, the offset in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    offset: int = Field(ge=0)

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels."""
        return self.height * self.width * 3


class Index(BaseModel):
    """What ``index.json`` holds: photographs without gaps or overlaps, names once each."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    sha256: str
    photos: list[Photo] = Field(min_length=1)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return sum(photo.nbytes for photo in self.photos)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        offsets = accumulate((photo.nbytes for photo in self.photos), initial=0)
        if any(photo.offset != offset for photo, offset in zip(self.photos, offsets, strict=False)):
            raise ValueError("photographs overlap or leave gaps")
        if len({photo.name for photo in self.photos}) < len(self.photos):
            raise ValueError("two photographs have one name")
        return self


class PhotoSet:
    """The photographs of one folder, in order; ``photos[i]`` is a read-only (H, W, 3) uint8 view.

    Opening checks the index and the size of the pixels, ``verify`` also every byte. A set pickles
    as its folder, so it can be sent to other processes of the machine.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        """Prefer ``PhotoSet.open``."""
        self.folder = folder
        self.index = index
        self._pixels = np.asarray(np.memmap(folder / PIXELS, dtype=np.uint8, mode="r"))

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The set that ``write_photos`` left in ``folder``.

        Raises:
            DataError: a file is missing, the index is damaged or the size of the pixels is not the
                one it states.
        """
        try:
            index = Index.model_validate_json((folder / INDEX).read_bytes())
            size = (folder / PIXELS).stat().st_size
        except (OSError, ValidationError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise _damaged(folder, f"{INDEX} and {PIXELS}", reason) from error
        if size != index.nbytes:
            raise _damaged(folder, f"{index.nbytes} bytes in {PIXELS}", f"{size}")
        return cls(folder, index)

    def verify(self) -> None:
        """Read every byte.

        Raises:
            DataError: the pixels are not those that were written.
        """
        got = sha256_file(self.folder / PIXELS)
        if got != self.index.sha256:
            raise _damaged(self.folder, f"SHA-256 {self.index.sha256} of {PIXELS}", got)

    @property
    def names(self) -> list[str]:
        """Paths below the source, with ``/``; unique."""
        return [photo.name for photo in self.index.photos]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each in pixels, from the index alone."""
        return [(photo.height, photo.width) for photo in self.index.photos]

    @property
    def shards(self) -> list[int]:
        """The shard that holds the pixels of each."""
        return [0] * len(self)

    def __len__(self) -> int:
        return len(self.index.photos)

    def __getitem__(self, i: int) -> Pixels:
        photo = self.index.photos[i]
        flat = self._pixels[photo.offset : photo.offset + photo.nbytes]
        return flat.reshape(photo.height, photo.width, 3)

    def __iter__(self) -> Iterator[Pixels]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return type(self).open, (self.folder,)


def write_photos(folder: Path, photos: Iterable[tuple[str, Pixels]]) -> PhotoSet:
    """Write a set; it replaces ``folder`` when it is complete and durable.

    Args:
        folder: where the set will be.
        photos: names, unique, and (H, W, 3) RGB pixels; taken one at a time, so they may be
            decoded on the way and need not fit into memory together.

    Raises:
        DataError: there is no photograph, a name comes twice, or pixels have another shape.
    """
    with replaced_folder(folder) as partial:
        index = _write_pixels(partial / PIXELS, photos)
        write_json_atomic(partial / INDEX, index.model_dump(by_alias=True))
    return PhotoSet.open(folder)


def _write_pixels(path: Path, photos: Iterable[tuple[str, Pixels]]) -> Index:
    digest, offset = hashlib.sha256(), 0
    entries: list[Photo] = []
    try:
        with path.open("wb") as file:
            for name, rgb in photos:
                height, width = _size(name, rgb)
                entries.append(Photo(name=name, height=height, width=width, offset=offset))
                data = np.ascontiguousarray(rgb).data
                digest.update(data)
                offset += file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return Index(sha256=digest.hexdigest(), photos=entries)
    except ValidationError as error:
        faults = "; ".join(fault["msg"] for fault in error.errors())
        raise DataError(
            f"expected photographs with names of their own to write, got {len(entries)}: {faults}"
        ) from error


def _size(name: str, rgb: Pixels) -> tuple[int, int]:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise DataError(f"expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype} of {name!r}")
    return rgb.shape[0], rgb.shape[1]


def _damaged(folder: Path, expected: str, got: str) -> DataError:
    return DataError(
        f"expected {expected} in {folder}, got {got}; "
        "write the photographs again: python -m pipelines prepare"
    )
