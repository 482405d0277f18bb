"""In which order training looks at photographs: a function of the seed and the number of the sample.

An epoch is as many draws as there are photographs. Larger photographs are drawn more often, in proportion
to their pixels, so that every pixel is equally likely; systematic sampling
(https://en.wikipedia.org/wiki/Systematic_sampling) keeps each within one draw of its due in every epoch.
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
    """The draws of one epoch, and where in it each window of shards begins."""

    number: int
    photos: Integers
    starts: Integers
    windows: list[tuple[int, ...]]


class Order:
    """``order(n)`` is the photograph of sample number n of a run, n = step * batch size + index in batch.

    It depends on nothing else: not on worker counts, nor on which samples were asked for before.

    Args:
        pixels: of each photograph.
        shards: the shard that holds each photograph.
        seed: another seed, another order.
        window: how many shards an epoch mixes at a time, for sets that stream: it goes through all shards in
            a shuffled order, that many together, so no more are needed at once. None shuffles over the set.

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
            raise DataError("expected photographs to put in order, got none; run the prepare stage on some")
        if window is not None and window < 1:
            raise ValueError(f"expected a window of at least 1 shard, got {window}")
        self._ends = np.cumsum(np.array(pixels, np.float64))
        # Numbers of shards may have gaps; positions among those in use have none.
        self._shards, self._shard_of = np.unique(np.array(shards, np.int64), return_inverse=True)
        self._seed, self._window = seed, window
        self._epoch = self._drawn(0)

    @classmethod
    def of(cls, photos: PhotoSet, seed: int, window: int | None = None) -> Self:
        """The order of a set; arguments as of the class."""
        return cls([height * width for height, width in photos.sizes], photos.shards, seed, window)

    def __len__(self) -> int:
        """Draws in an epoch."""
        return len(self._ends)

    def __call__(self, n: int) -> int:
        """Index of the photograph of sample n, from 0 on."""
        number, position = divmod(n, len(self))
        return int(self._of(number).photos[position])

    def upcoming(self, n: int) -> tuple[int, ...]:
        """Shards that sample n and those after it need: those of its window, then those of the next.

        Empty without a window, when samples come from everywhere.
        """
        if self._window is None:
            return ()
        number, position = divmod(n, len(self))
        epoch = self._of(number)
        here = int(np.searchsorted(epoch.starts, position, side="right")) - 1
        following = epoch.windows[here + 1 :] or self._windows(self._shuffled(number + 1))
        return tuple(dict.fromkeys(epoch.windows[here] + following[0]))

    def _of(self, number: int) -> _Epoch:
        epoch = self._epoch
        if epoch.number != number:
            # One assignment, so that threads which ask for different epochs do not mix them.
            self._epoch = epoch = self._drawn(number)
        return epoch

    def _drawn(self, number: int) -> _Epoch:
        photos = self._sampled(number)
        keys = self._raw(number, "draws", len(photos))
        if self._window is None:
            return _Epoch(number, photos[_sorting(keys)], np.zeros(1, np.int64), [])
        shuffled = self._shuffled(number)
        window_of = np.empty_like(shuffled)
        window_of[shuffled] = np.arange(len(shuffled)) // self._window
        windows = self._windows(shuffled)
        drawn = window_of[self._shard_of[photos]]
        starts = np.searchsorted(np.sort(drawn), np.arange(len(windows)))
        return _Epoch(number, photos[np.lexsort((keys, drawn))], starts, windows)

    def _sampled(self, number: int) -> Integers:
        """The photographs of one epoch, ascending."""
        offset = (self._raw(number, "offset", 1) >> np.uint64(11)) * 2.0**-53
        points = (offset + np.arange(len(self))) / len(self) * self._ends[-1]
        # The last point may be rounded up to the very end.
        found = np.searchsorted(self._ends, points, side="right")
        return np.asarray(np.minimum(found, len(self) - 1), np.int64)

    def _shuffled(self, number: int) -> Integers:
        """Positions of all shards in the order in which an epoch comes to them."""
        return _sorting(self._raw(number, "shards", len(self._shards)))

    def _windows(self, shuffled: Integers) -> list[tuple[int, ...]]:
        size = self._window or len(shuffled)
        shards = self._shards[shuffled].tolist()
        return [tuple(shards[i : i + size]) for i in range(0, len(shards), size)]

    def _raw(self, number: int, what: str, count: int) -> npt.NDArray[np.uint64]:
        # NumPy promises the raw bits of a generator for all versions, its permutations only for one.
        bits = np.random.PCG64(stream_seed(self._seed, number, "order", what)).random_raw(count)
        return np.asarray(bits, np.uint64)


def _sorting(keys: npt.NDArray[np.uint64]) -> Integers:
    return np.argsort(keys, kind="stable").astype(np.int64)
