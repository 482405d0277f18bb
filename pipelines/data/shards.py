"""Write photographs into shards; with a URL as destination, one shard at a time is on the disk."""

import hashlib
import os
from pathlib import Path

import numpy as np

from pipelines.core.errors import DataError, explain_full_disk
from pipelines.data.index import Bytes, Index, Photo, Shard
from pipelines.data.remote import Remote

DEFAULT_SHARD_BYTES = 2**30
REMEDY = "free some, scale photographs down with prepare.max_side_px, or set prepare.destination"


class ShardWriter:
    """Appends photographs to shards, which are named after their content.

    Args:
        folder: for the shards, or for the current one.
        shard_bytes: limit for a shard; a larger photograph gets a shard of its own.
        base: URL of a folder to upload each shard to; None keeps them in ``folder``.

    Raises:
        DataError: the URL cannot be read.
    """

    def __init__(self, folder: Path, shard_bytes: int, base: str | None = None) -> None:
        self._shard_bytes, self._base = shard_bytes, base
        self._folder, self._current = folder, folder / ".shard"
        self._shards: list[Shard] = []
        self._photos: list[Photo] = []
        if base is not None:
            Remote(base).nbytes("index.json")  # report missing keys before an hour of decoding, not after
        self._begin()

    def add(self, name: str, rgb: Bytes) -> None:
        """Append a photograph (H, W, 3), RGB uint8.

        Raises:
            DataError: it has another shape, the disk is full or the URL cannot be written to.
        """
        height, width = _check_size(name, rgb)
        if self._nbytes and self._nbytes + rgb.size > self._shard_bytes:
            self._close()
        data = np.ascontiguousarray(rgb).data
        number, offset = len(self._shards), self._nbytes
        digest = hashlib.sha256(data).hexdigest()
        self._photos.append(
            Photo(name=name, height=height, width=width, shard=number, offset=offset, sha256=digest)
        )
        with explain_full_disk(self._folder, REMEDY):
            self._file.write(data)
        self._digest.update(data)
        self._nbytes += rgb.size

    def finish(self) -> Index:
        """Close the last shard and return the index.

        Raises:
            DataError: two photographs have the same name, the disk is full or the URL cannot be written to.
        """
        self._close()
        self.discard()
        return Index.of(self._photos, self._shards, self._base)

    def discard(self) -> None:
        """Remove the shard that is being written."""
        self._file.close()
        self._current.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._file = self._current.open("wb")
        self._digest, self._nbytes = hashlib.sha256(), 0

    def _close(self) -> None:
        if not self._nbytes:
            return
        with explain_full_disk(self._folder, REMEDY), self._file as file:
            file.flush()
            os.fsync(file.fileno())
        shard = Shard(sha256=self._digest.hexdigest(), nbytes=self._nbytes)
        if self._base is None:
            self._current.rename(self._folder / shard.file)
        elif Remote(self._base).nbytes(shard.file) != shard.nbytes:
            print(f"prepare: uploading {shard.nbytes / 1e6:.0f} MB to {self._base}", flush=True)
            Remote(self._base).upload(self._current, shard.file)
        self._shards.append(shard)
        self._begin()


def _check_size(name: str, rgb: Bytes) -> tuple[int, int]:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise DataError(f"expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype} of {name!r}")
    return rgb.shape[0], rgb.shape[1]
