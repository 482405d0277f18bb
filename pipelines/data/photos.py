"""Sets of decoded photographs: shards of pixels, mapped into memory on reading.

    <folder>/index.json             names, sizes and places of the photographs
    <folder>/pixels-<sha256>.bin    a shard: uint8 RGB, the rows of one photograph after the other

The shards of a large set are kept below a URL instead, and fetched when they are needed. Processes on one
machine share the pages of a shard, and a crop reads only the rows it needs.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from pipelines.core.errors import DataError
from pipelines.core.records import sha256_file, write_json_atomic
from pipelines.data.cache import DEFAULT_CACHE_BYTES, Prefetcher, ShardCache, cache_folder
from pipelines.data.index import INDEX, Bytes, Index, Shard, map_file
from pipelines.data.remote import Remote
from pipelines.data.shards import DEFAULT_SHARD_BYTES, ShardWriter
from zoo.durable import replace_folder

Pixels = npt.NDArray[np.uint8]


class PhotoSet:
    """The photographs of one folder, in order; ``photos[i]`` is a read-only (H, W, 3) uint8 view.

    Opening checks the index and the sizes of the shards, reading a photograph checks the size of its shard
    again, and ``verify`` checks every byte. A set pickles as its folder, so it can be sent
    to other processes of the machine.
    """

    def __init__(self, folder: Path, index: Index, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        """Use ``PhotoSet.open`` instead."""
        self.folder, self.index = folder, index
        self._cache_bytes = cache_bytes
        self._remote = None if index.base is None else Remote(index.base)
        self._prefetcher = Prefetcher(self._fetch_shard)

    @classmethod
    def open(cls, folder: Path, cache_bytes: int = DEFAULT_CACHE_BYTES) -> Self:
        """Open the set that ``write_photos`` wrote into ``folder``.

        Args:
            folder: of the set.
            cache_bytes: limit for the local cache of a set at a URL, in the folder named by the variable
                ``TUNABLE_CACHE``; at least one shard.

        Raises:
            DataError: a file is missing, the index is damaged, a shard is not of the size it states, or is
                larger than ``cache_bytes``.
        """
        try:
            index = Index.model_validate_json((folder / INDEX).read_bytes())
        except (OSError, ValidationError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise _damage_error(folder, INDEX, reason) from error
        largest = max((shard.nbytes for shard in index.shards), default=0)
        if index.base is None:
            _check_sizes(folder, index)
        elif largest > cache_bytes:
            raise DataError(
                f"expected cache_bytes of at least {largest}, a shard of {folder}, got {cache_bytes}; raise "
                "it or prepare with a smaller prepare.shard_mb"
            )
        return cls(folder, index, cache_bytes)

    def verify(self) -> None:
        """Compare the SHA-256 of every shard with the index.

        Raises:
            DataError: the pixels are not those that were written.
        """
        for shard in self.index.shards:
            got = self._hash_shard(shard)
            if got != shard.sha256:
                raise _damage_error(self.folder, f"SHA-256 {shard.sha256} of {shard.file}", got)

    @property
    def names(self) -> list[str]:
        """Unique paths below the source, with ``/``."""
        return [photo.name for photo in self.index.photos]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each photograph in pixels, from the index."""
        return [(photo.height, photo.width) for photo in self.index.photos]

    @property
    def shards(self) -> list[int]:
        """Position of the shard of each photograph."""
        return [photo.shard for photo in self.index.photos]

    def prefetch(self, shards: Sequence[int]) -> None:
        """Start fetching shards that will be needed, in that order; returns at once.

        Those that do not fit into the cache together are skipped. A no-op for a local set.
        """
        if self._remote is not None:
            self._prefetcher.request(self._fit_cache(shards))

    def pick(self, positions: Iterable[int]) -> Iterator[tuple[str, Pixels]]:
        """Yield names and pixels of some photographs, without fetching the whole of their shards."""
        for i in positions:
            yield (
                self.index.photos[i].name,
                self[i] if self._remote is None else self._download(i, self._remote),
            )

    def restrict_to(self, positions: Iterable[int]) -> Self:
        """Drop all other photographs from the index, and shards that hold none of these from the folder."""
        photos = self.index.photos
        index = Index.of([photos[i] for i in sorted(positions)], self.index.shards, self.index.base)
        _write_index(self.folder, index)
        if self._remote is None:
            for file in {s.file for s in self.index.shards} - {s.file for s in index.shards}:
                (self.folder / file).unlink()
        return type(self).open(self.folder, self._cache_bytes)

    def __len__(self) -> int:
        return len(self.index.photos)

    def __getitem__(self, i: int) -> Pixels:
        photo = self.index.photos[i]
        flat = self._map_shard(self.index.shards[photo.shard])[photo.offset : photo.end]
        return flat.reshape(photo.height, photo.width, 3)

    def __iter__(self) -> Iterator[Pixels]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[object, tuple[Path, int]]:
        return type(self).open, (self.folder, self._cache_bytes)

    @property
    def _cache(self) -> ShardCache:
        return ShardCache(self._cache_bytes, cache_folder())

    def _map_shard(self, shard: Shard) -> Bytes:
        if self._remote is not None:
            return self._cache.map_shard(shard, self._remote)
        try:
            return map_file(self.folder / shard.file, shard.nbytes)
        except FileNotFoundError as error:
            raise _damage_error(self.folder, shard.file, "no such file") from error

    def _fetch_shard(self, number: int) -> None:
        if self._remote is not None:
            self._cache.fetch(self.index.shards[number], self._remote)

    def _fit_cache(self, shards: Sequence[int]) -> list[int]:
        free, fitting = self._cache_bytes, list[int]()
        for number in shards:
            free -= self.index.shards[number].nbytes
            if free < 0:
                break
            fitting.append(number)
        return fitting

    def _download(self, i: int, remote: Remote) -> Pixels:
        photo = self.index.photos[i]
        file = self.index.shards[photo.shard].file
        data = remote.read(file, photo.offset, photo.end)
        if hashlib.sha256(data).hexdigest() != photo.sha256:
            raise _damage_error(
                self.folder, f"the pixels of {photo.name!r} in {remote.url}/{file}", "other pixels"
            )
        return np.frombuffer(data, np.uint8).reshape(photo.height, photo.width, 3)

    def _hash_shard(self, shard: Shard) -> str:
        if self._remote is None:
            return sha256_file(self.folder / shard.file)
        return hashlib.sha256(self._map_shard(shard).data).hexdigest()


def write_photos(
    folder: Path,
    photos: Iterable[tuple[str, Pixels]],
    *,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    destination: str | None = None,
    may_be_empty: bool = False,
) -> PhotoSet:
    """Write a set, which replaces ``folder`` when it is complete and durable.

    Args:
        folder: of the set.
        photos: unique names and (H, W, 3) RGB pixels; consumed one at a time, so they may be decoded lazily
            and need not fit into memory together.
        shard_bytes: approximate size of a shard.
        destination: URL of a folder for the shards; ``folder`` then holds the index alone, and one shard at a
            time while it is written. A shard that exists there is not uploaded again.
        may_be_empty: accept no photographs at all.

    Raises:
        DataError: there is no photograph, two have the same name, pixels have another shape, the disk is full
            or the destination cannot be written to.
    """
    with replace_folder(folder) as partial:
        writer = ShardWriter(partial, shard_bytes, destination)
        try:
            for name, rgb in photos:
                writer.add(name, rgb)
            index = writer.finish()
        finally:
            writer.discard()
        if not index.photos and not may_be_empty:
            raise DataError("expected photographs to write, got 0")
        _write_index(partial, index)
    return PhotoSet.open(folder)


def _write_index(folder: Path, index: Index) -> None:
    write_json_atomic(folder / INDEX, index.model_dump(by_alias=True))


def _check_sizes(folder: Path, index: Index) -> None:
    for shard in index.shards:
        try:
            size = (folder / shard.file).stat().st_size
        except OSError as error:
            raise _damage_error(folder, shard.file, f"{type(error).__name__}: {error.strerror}") from error
        if size != shard.nbytes:
            raise _damage_error(folder, f"{shard.nbytes} bytes in {shard.file}", f"{size}")


def _damage_error(folder: Path, expected: str, got: str) -> DataError:
    return DataError(
        f"expected {expected} in {folder}, got {got}; write the photographs again: tunable run prepare"
    )
