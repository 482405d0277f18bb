"""Sampling order of training photographs: a function of the seed and the sample number alone.

An epoch is as many draws as there are photographs. Larger photographs are drawn more often, in proportion
to their pixels, so that every pixel is equally likely; systematic sampling
(https://en.wikipedia.org/wiki/Systematic_sampling) keeps each within one draw of its expected count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from pipelines.core.errors import DataError
from pipelines.core.random_streams import stream_seed
from pipelines.data.photos import PhotoSet

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Epoch:
    """The draws of one epoch, and the positions at which its windows of shards begin."""

    number: int
    photos: Integers
    starts: Integers
    windows: list[tuple[int, ...]]


class Order:
    """``order(n)`` is the photograph of sample n of a run, where n = step * batch size + index in batch.

    It is independent of the number of workers and of the samples requested before.

    Args:
        pixels: number of pixels of each photograph.
        shards: shard of each photograph.
        seed: of the order.
        window: how many shards to mix at a time, for streamed sets: an epoch visits all shards in a shuffled
            order, in windows of that many, so no more are needed at once. None shuffles the whole set.

    Raises:
        DataError: there is no photograph.
        ValueError: ``window`` is less than 1.

    Example:
        >>> order = Order(pixels=[100, 100, 400], shards=[0, 0, 1], seed=0)
        >>> sorted(order(n) for n in range(3))
        [0, 2, 2]
    """

    def __init__(
        self, pixels: Sequence[int], shards: Sequence[int], seed: int, window: int | None = None
    ) -> None:
        if not pixels:
            raise DataError("expected photographs to train on, got none; run tunable run prepare with some")
        if window is not None and window < 1:
            raise ValueError(f"expected a window of at least 1 shard, got {window}")
        self._ends = np.cumsum(np.array(pixels, np.float64))
        # Shard numbers may have gaps; positions among those in use have none.
        self._shards, self._shard_of = np.unique(np.array(shards, np.int64), return_inverse=True)
        self._seed, self._window = seed, window
        self._epoch = self._draw_epoch(0)

    @classmethod
    def of(cls, photos: PhotoSet, seed: int, window: int | None = None) -> Self:
        """Order of a photo set; the other arguments as for the class."""
        return cls([height * width for height, width in photos.sizes], photos.shards, seed, window)

    def __len__(self) -> int:
        """Number of draws in an epoch."""
        return len(self._ends)

    def __call__(self, n: int) -> int:
        """Index of the photograph of sample n, starting from 0."""
        number, position = divmod(n, len(self))
        return int(self._epoch_of(number).photos[position])

    def upcoming(self, n: int) -> tuple[int, ...]:
        """Shards to prefetch at sample n: those of its window and the next one; empty without a window."""
        if self._window is None:
            return ()
        number, position = divmod(n, len(self))
        epoch = self._epoch_of(number)
        here = int(np.searchsorted(epoch.starts, position, side="right")) - 1
        following = epoch.windows[here + 1 :] or self._split_windows(self._shuffle_shards(number + 1))
        return tuple(dict.fromkeys(epoch.windows[here] + following[0]))

    def _epoch_of(self, number: int) -> _Epoch:
        epoch = self._epoch
        if epoch.number != number:
            # One assignment, so that threads that need different epochs do not mix them.
            self._epoch = epoch = self._draw_epoch(number)
        return epoch

    def _draw_epoch(self, number: int) -> _Epoch:
        photos = self._sample_photos(number)
        keys = self._random_bits(number, "draws", len(photos))
        if self._window is None:
            return _Epoch(number, photos[_sort_positions(keys)], np.zeros(1, np.int64), [])
        shuffled = self._shuffle_shards(number)
        window_of = np.empty_like(shuffled)
        window_of[shuffled] = np.arange(len(shuffled)) // self._window
        windows = self._split_windows(shuffled)
        drawn = window_of[self._shard_of[photos]]
        starts = np.searchsorted(np.sort(drawn), np.arange(len(windows)))
        return _Epoch(number, photos[np.lexsort((keys, drawn))], starts, windows)

    def _sample_photos(self, number: int) -> Integers:
        """Draw the photographs of one epoch, ascending."""
        offset = (self._random_bits(number, "offset", 1) >> np.uint64(11)) * 2.0**-53
        points = (offset + np.arange(len(self))) / len(self) * self._ends[-1]
        # Rounding may move the last point to the very end.
        found = np.searchsorted(self._ends, points, side="right")
        return np.asarray(np.minimum(found, len(self) - 1), np.int64)

    def _shuffle_shards(self, number: int) -> Integers:
        """Positions of all shards in the order in which an epoch visits them."""
        return _sort_positions(self._random_bits(number, "shards", len(self._shards)))

    def _split_windows(self, shuffled: Integers) -> list[tuple[int, ...]]:
        size = self._window or len(shuffled)
        shards = self._shards[shuffled].tolist()
        return [tuple(shards[i : i + size]) for i in range(0, len(shards), size)]

    def _random_bits(self, number: int, what: str, count: int) -> npt.NDArray[np.uint64]:
        # NumPy keeps the raw bits of a generator the same across versions, but not its permutations.
        bits = np.random.PCG64(stream_seed(self._seed, number, "order", what)).random_raw(count)
        return np.asarray(bits, np.uint64)


def _sort_positions(keys: npt.NDArray[np.uint64]) -> Integers:
    return np.argsort(keys, kind="stable").astype(np.int64)
