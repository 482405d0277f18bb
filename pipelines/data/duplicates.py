"""Near duplicates: photographs of one scene that must not stand on both sides of a split.

A re-encoded, resized or slightly moved photograph keeps most bits of its perceptual hash: the two
halves of a stereo pair differ in about 4 of 64 bits, unrelated photographs in 14 or more.
"""

from collections import defaultdict
from collections.abc import Sequence

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image


def perceptual_hash(rgb: npt.NDArray[np.uint8]) -> int:
    """The signs of the low frequencies of (H, W, 3) pixels, as an unsigned 64-bit number."""
    return int(str(imagehash.phash(Image.fromarray(rgb))), 16)


def group(hashes: Sequence[int], distance: int) -> list[list[int]]:
    """Positions of ``hashes`` in groups; chains of near duplicates are one group.

    Args:
        hashes: perceptual hashes.
        distance: the largest number of bits in which neighbours of one group differ.

    Returns:
        Every position once, ascending within a group, groups in the order of their first position.
    """
    # Equal hashes collapse first, so that many copies of one picture do not cost their square.
    unique, unique_of = np.unique(np.array(hashes, np.uint64), return_inverse=True)
    roots = _union(unique, distance)
    groups: dict[int, list[int]] = defaultdict(list)
    for position, which in enumerate(unique_of):
        groups[roots[which]].append(position)
    return list(groups.values())


def leaks(train: Sequence[int], test: Sequence[int], distance: int) -> dict[int, int]:
    """Positions in ``train`` that share a group with one of ``test``, and the first such there."""
    found: dict[int, int] = {}
    for members in group([*test, *train], distance):
        if members[0] < len(test):
            found |= {m - len(test): members[0] for m in members if m >= len(test)}
    return found


def _union(hashes: npt.NDArray[np.uint64], distance: int) -> list[int]:
    parent = list(range(len(hashes)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for i, value in enumerate(hashes):
        near = np.bitwise_count(hashes[i + 1 :] ^ value) <= distance
        for j in np.flatnonzero(near):
            parent[root(i + 1 + int(j))] = root(i)
    return [root(i) for i in range(len(hashes))]
