"""Photographs decoded once: files of pixels, mapped into memory by whoever reads them.

    <folder>/index.json             what there is, and where
    <folder>/pixels-<sha256>.bin    a shard: uint8 RGB, the rows of one photograph after the other

The shards of a large set lie below a URL instead, and are fetched when they are needed. Processes on one
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
from pipelines.data.cache import DEFAULT_CACHE_BYTES, ShardCache, cache_folder
from pipelines.data.folders import replaced_folder
from pipelines.data.index import INDEX, Index, Shard
from pipelines.data.mapping import Bytes, mapped
from pipelines.data.prefetch import Prefetcher
from pipelines.data.remote import Remote
from pipelines.data.shards import DEFAULT_SHARD_BYTES, ShardWriter

Pixels = npt.NDArray[np.uint8]


class PhotoSet:
    """The photographs of one folder, in order; ``photos[i]`` is a read-only (H, W, 3) uint8 view.

    Opening checks the index and the sizes of the shards, reading a photograph the size of its shard again,
    ``verify`` every byte. A set pickles as its folder, so it can be sent to other processes of the machine.
    """

    def __init__(self, folder: Path, index: Index, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        """Prefer ``PhotoSet.open``."""
        self.folder, self.index = folder, index
        self._cache_bytes = cache_bytes
        self._remote = None if index.base is None else Remote(index.base)
        self._prefetcher = Prefetcher(self._fetch)

    @classmethod
    def open(cls, folder: Path, cache_bytes: int = DEFAULT_CACHE_BYTES) -> Self:
        """The set that ``write_photos`` left in ``folder``.

        Args:
            folder: of the set.
            cache_bytes: how much this machine may keep of a set at a URL, in the folder named by the variable
                ``TUNABLE_CACHE``; at least one shard.

        Raises:
            DataError: a file is missing, the index is damaged, a shard has not the size it states, or not one
                shard fits into ``cache_bytes``.
        """
        try:
            index = Index.model_validate_json((folder / INDEX).read_bytes())
        except (OSError, ValidationError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise _damaged(folder, INDEX, reason) from error
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
        """Read every byte.

        Raises:
            DataError: the pixels are not those that were written.
        """
        for shard in self.index.shards:
            got = self._sha256(shard)
            if got != shard.sha256:
                raise _damaged(self.folder, f"SHA-256 {shard.sha256} of {shard.file}", got)

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
        return [photo.shard for photo in self.index.photos]

    def prefetch(self, shards: Sequence[int]) -> None:
        """Begin to fetch shards that will be needed, the first ones first; returns at once.

        Those that would not fit into the cache together are left for later; nothing to do for a set whose
        shards lie in its folder.
        """
        if self._remote is not None:
            self._prefetcher(self._fitting(shards))

    def pick(self, positions: Iterable[int]) -> Iterator[tuple[str, Pixels]]:
        """Names and pixels of some photographs, without fetching the shards around them."""
        for i in positions:
            yield self.index.photos[i].name, self[i] if self._remote is None else self._read(i, self._remote)

    def only(self, positions: Iterable[int]) -> Self:
        """Leave only those photographs in the folder's index, and beside it the shards that hold them."""
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
        flat = self._bytes(self.index.shards[photo.shard])[photo.offset : photo.end]
        return flat.reshape(photo.height, photo.width, 3)

    def __iter__(self) -> Iterator[Pixels]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[object, tuple[Path, int]]:
        return type(self).open, (self.folder, self._cache_bytes)

    @property
    def _cache(self) -> ShardCache:
        return ShardCache(self._cache_bytes, cache_folder())

    def _bytes(self, shard: Shard) -> Bytes:
        if self._remote is not None:
            return self._cache.mapped(shard, self._remote)
        try:
            return mapped(self.folder / shard.file, shard.nbytes)
        except FileNotFoundError as error:
            raise _damaged(self.folder, shard.file, "no such file any more") from error

    def _fetch(self, number: int) -> None:
        if self._remote is not None:
            self._cache.fetch(self.index.shards[number], self._remote)

    def _fitting(self, shards: Sequence[int]) -> list[int]:
        room, fitting = self._cache_bytes, list[int]()
        for number in shards:
            room -= self.index.shards[number].nbytes
            if room < 0:
                break
            fitting.append(number)
        return fitting

    def _read(self, i: int, remote: Remote) -> Pixels:
        photo = self.index.photos[i]
        file = self.index.shards[photo.shard].file
        data = remote.read(file, photo.offset, photo.end)
        if hashlib.sha256(data).hexdigest() != photo.sha256:
            raise _damaged(self.folder, f"the pixels of {photo.name!r} in {remote.url}/{file}", "others")
        return np.frombuffer(data, np.uint8).reshape(photo.height, photo.width, 3)

    def _sha256(self, shard: Shard) -> str:
        if self._remote is None:
            return sha256_file(self.folder / shard.file)
        return hashlib.sha256(self._bytes(shard).data).hexdigest()


def write_photos(
    folder: Path,
    photos: Iterable[tuple[str, Pixels]],
    *,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    destination: str | None = None,
    may_be_empty: bool = False,
) -> PhotoSet:
    """Write a set; it replaces ``folder`` when it is complete and durable.

    Args:
        folder: where the set will be.
        photos: names, unique, and (H, W, 3) RGB pixels; taken one at a time, so they may be
            decoded on the way and need not fit into memory together.
        shard_bytes: about how large a shard is.
        destination: URL of a folder for the shards; ``folder`` then holds the index alone, and one shard at a
            time while it is written. A shard that is there already is not sent again.
        may_be_empty: whether a set of no photographs is one.

    Raises:
        DataError: there is no photograph, a name comes twice, pixels have another shape, the disk is full or
            the destination cannot be written to.
    """
    with replaced_folder(folder) as partial:
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
            raise _damaged(folder, shard.file, f"{type(error).__name__}: {error.strerror}") from error
        if size != shard.nbytes:
            raise _damaged(folder, f"{shard.nbytes} bytes in {shard.file}", f"{size}")


def _damaged(folder: Path, expected: str, got: str) -> DataError:
    return DataError(
        f"expected {expected} in {folder}, got {got}; write the photographs again: tunable run prepare"
    )
