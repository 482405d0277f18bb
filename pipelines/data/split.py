"""Which photographs are held out: whole groups of near duplicates, decided by names and a seed."""

from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import sha256

from pipelines.errors import DataError


def hold_out(
    names: Sequence[str], groups: Sequence[Sequence[int]], wanted: int | Sequence[str], seed: int
) -> set[int]:
    """Positions of the test photographs; the others are for training.

    Args:
        names: of all photographs.
        groups: positions in groups that stay together; each position once.
        wanted: how many to hold out, or the names to hold out with their groups.
        seed: chooses among the groups when ``wanted`` is a number. A photograph that joins the
            source later does not reshuffle the others.

    Raises:
        DataError: there are fewer than two photographs, a name is unknown, the groups cannot be
            cut to that number, or nothing would be left to train on.
    """
    if len(names) < 2:
        raise DataError(
            f"expected at least two photographs, one to train on and one to test on, got "
            f"{len(names)}; add photographs or set prepare.test_source"
        )
    held = _counted(names, groups, wanted, seed) if isinstance(wanted, int) else _named(names, groups, wanted)
    if len(held) == len(names):
        raise DataError(
            f"expected photographs to train on, got all {len(names)} held out by "
            "prepare.test_photos and their near duplicates; hold out fewer or add photographs"
        )
    return held


def _named(names: Sequence[str], groups: Sequence[Sequence[int]], wanted: Sequence[str]) -> set[int]:
    for name in wanted:
        if name not in names:
            near = get_close_matches(name, names, n=1) or sorted(names)[:3]
            raise DataError(
                f"expected names of usable photographs in prepare.test_photos, got {name!r}; "
                f"there is {', '.join(map(repr, near))}"
            )
    chosen = {names.index(name) for name in wanted}
    return {position for group in groups if chosen.intersection(group) for position in group}


def _counted(names: Sequence[str], groups: Sequence[Sequence[int]], wanted: int, seed: int) -> set[int]:
    held: set[int] = set()
    for group in sorted(groups, key=lambda g: sha256(f"{seed}/{names[g[0]]}".encode()).digest()):
        if len(held) + len(group) <= wanted:
            held.update(group)
    if len(held) < wanted:
        raise DataError(
            f"expected to hold out prepare.test_photos = {wanted} of {len(names)} photographs, got "
            f"{len(held)} without splitting near duplicates; choose another number or name them"
        )
    return held
