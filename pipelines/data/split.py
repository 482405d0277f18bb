"""Which photographs are held out: whole groups of near duplicates, decided by names and a seed."""

from collections.abc import Sequence
from hashlib import sha256

from pipelines.core.errors import DataError, suggest_name


def hold_out(
    names: Sequence[str],
    groups: Sequence[Sequence[int]],
    wanted: int | Sequence[str],
    seed: int,
    option: str = "prepare.test_photos",
) -> set[int]:
    """Positions of the photographs to hold out; the others are for training.

    Args:
        names: of all photographs.
        groups: positions in groups that stay together, those to choose from; each position once.
        wanted: how many to hold out, or the names to hold out with their groups.
        seed: chooses among the groups when ``wanted`` is a number. A photograph that joins the
            source later does not reshuffle the others.
        option: that says what is wanted.

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
        held = _counted(names, groups, wanted, seed, option)
    else:
        held = _named(names, groups, wanted, option)
    if held == free:
        raise DataError(
            f"expected photographs to train on, got all {len(free)} held out by {option} and their near "
            "duplicates; hold out fewer or add photographs"
        )
    return held


def _named(
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


def _counted(
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
