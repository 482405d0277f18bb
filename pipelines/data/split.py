"""Split photographs into training and held-out ones, keeping near duplicates on one side.

A re-encoded, resized or slightly moved photograph keeps most bits of its perceptual hash: the two halves of a
stereo pair differ in about 4 of 64 bits, unrelated photographs in 14 or more.
"""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.core.errors import DataError, suggest_name


def perceptual_hash(rgb: npt.NDArray[np.uint8]) -> int:
    """Hash the signs of the low frequencies of (H, W, 3) pixels into an unsigned 64-bit number."""
    return int(str(imagehash.phash(Image.fromarray(rgb))), 16)


def group_duplicates(hashes: Sequence[int], distance: int) -> list[list[int]]:
    """Group positions of near duplicates; a chain of them is one group.

    Args:
        hashes: of :func:`perceptual_hash`.
        distance: largest number of differing bits that makes two photographs near duplicates.

    Returns:
        Every position once, ascending within a group; groups in the order of their first position.
    """
    # Equal hashes collapse first, so that many copies of one picture do not cost their square.
    unique, unique_of = np.unique(np.array(hashes, np.uint64), return_inverse=True)
    roots = _find_roots(unique, distance)
    groups: dict[int, list[int]] = defaultdict(list)
    for position, which in enumerate(unique_of):
        groups[roots[which]].append(position)
    return list(groups.values())


def find_leaks(train: Sequence[int], test: Sequence[int], distance: int) -> dict[int, int]:
    """Map positions in ``train`` that share a group with some of ``test`` to the first of those."""
    found: dict[int, int] = {}
    for members in group_duplicates([*test, *train], distance):
        if members[0] < len(test):
            found |= {m - len(test): members[0] for m in members if m >= len(test)}
    return found


def hold_out(
    names: Sequence[str],
    groups: Sequence[Sequence[int]],
    wanted: int | Sequence[str],
    seed: int,
    option: str = "prepare.test_photos",
) -> set[int]:
    """Choose positions of photographs to hold out; the others are for training.

    Args:
        names: of all photographs.
        groups: positions to choose from, in groups that stay together.
        wanted: how many to hold out, or the names to hold out with their groups.
        seed: chooses among the groups when ``wanted`` is a number. A photograph that joins the
            source later does not reshuffle the others.
        option: key of params.yaml that gives ``wanted``, for messages.

    Raises:
        DataError: there are fewer than two photographs, a name is unknown, the groups cannot be
            cut to that number, or nothing would be left to train on.
    """
    free = {position for group in groups for position in group}
    if len(free) < 2:
        raise DataError(
            f"expected at least two photographs, one to train on and one for {option}, got {len(free)}; add "
            "photographs or set prepare.test_source"
        )
    if isinstance(wanted, int):
        held = _choose_by_seed(names, groups, wanted, seed, option)
    else:
        held = _choose_by_name(names, groups, wanted, option)
    if held == free:
        raise DataError(
            f"expected photographs to train on, got all {len(free)} held out by {option} and their near "
            "duplicates; hold out fewer or add photographs"
        )
    return held


def _choose_by_name(
    names: Sequence[str], groups: Sequence[Sequence[int]], wanted: Sequence[str], option: str
) -> set[int]:
    free = {names[position]: position for group in groups for position in group}
    for name in wanted:
        if name not in free:
            state = ", which is held out already" if name in names else ""
            raise DataError(
                f"expected names of usable photographs in {option}, got {name!r}{state}"
                f"{suggest_name(name, free, 'there are')}"
            )
    chosen = {free[name] for name in wanted}
    return {position for group in groups if chosen.intersection(group) for position in group}


def _choose_by_seed(
    names: Sequence[str], groups: Sequence[Sequence[int]], wanted: int, seed: int, option: str
) -> set[int]:
    held: set[int] = set()
    for group in sorted(groups, key=lambda g: sha256(f"{seed}/{names[g[0]]}".encode()).digest()):
        if len(held) + len(group) <= wanted:
            held.update(group)
    if len(held) < wanted:
        free = sum(map(len, groups))
        raise DataError(
            f"expected to hold out {option} = {wanted} of {free} photographs, got "
            f"{len(held)} without splitting near duplicates; choose another number or name them"
        )
    return held


def _find_roots(hashes: npt.NDArray[np.uint64], distance: int) -> list[int]:
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
