"""How far decoders agree about a file, and whether what the zoo reads is right."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.decoders.decode import TURNS, Array, Read
from benchmarks.decoders.header import Declared
from benchmarks.decoders.worker import Outcome

LOSSY = 6 / 255
"""What 99 of 100 pixels may differ by where decoders round and interpolate colours as they like."""
LOSSY_MEAN = 1 / 255
OF_8_BITS, DEEP = 1.01 / 255, 4 / 65535
_SLAB = 2**20
"""Pixels that are compared at once."""

CLASSES = {
    "right": "agrees with an independent decoder at full depth, on all pages",
    "right, less checked": "agrees, but the others keep fewer bits, or read fewer pages",
    "refused rightly": "no decoder reads it, or the format is not one of the zoo's",
    "refused": "though another decoder reads it",
    "different": "no independent decoder agrees",
    "reduced": "fewer bits are kept than the file declares",
    "not comparable": "no independent decoder reads it",
    "crashed": "the process died, hung, or ran over memory",
}


@dataclass(frozen=True)
class Difference:
    """Between two decoders on one page, as a part of white."""

    largest: float
    of_99_percent: float
    mean: float

    def within(self, tolerance: float, is_lossy: bool) -> bool:
        """Whether the page is the same to both."""
        if is_lossy:
            return self.of_99_percent <= LOSSY and self.mean <= LOSSY_MEAN
        return self.largest <= tolerance


@dataclass(frozen=True)
class Verdict:
    """What the zoo made of a file.

    Attributes:
        name: one of ``CLASSES``.
        why: for people.
        differences: to independent decoders, on the first page; None where sizes differ.
    """

    name: str
    why: str = ""
    differences: Mapping[str, Difference | None] = field(default_factory=dict)


def judge(declared: Declared, outcomes: Mapping[str, Outcome]) -> Verdict:
    """Classify what the zoo made of a file.

    Args:
        declared: by the file.
        outcomes: of each decoder, the zoo's among them.
    """
    own = outcomes["zoo"]
    readers = {
        name: outcome for name, outcome in outcomes.items() if name != "zoo" and outcome.first is not None
    }
    if own.first is None:
        if own.status not in ("refused", "not comparable"):
            return Verdict("crashed", f"{own.status}: {own.said}")
        if not declared.is_claimed:
            return Verdict("refused rightly", "a format that is not claimed")
        if own.said.startswith("ImageTooLargeError"):
            return Verdict("refused rightly", "more pixels than are allowed")
        if not readers:
            return Verdict("refused rightly", "nobody reads it")
        return Verdict("refused", f"{own.said}; read by {', '.join(readers)}")
    if kept_bits(own, declared) < declared.bits and not _fits(own, readers):
        return Verdict("reduced", f"{kept_bits(own, declared)} of {declared.bits} bits")
    others = {name: outcome for name, outcome in readers.items() if name != own.first.by}
    if not others:
        return Verdict("not comparable", f"read by {own.first.by} alone")
    return _compared(declared, own, others)


def kept_bits(outcome: Outcome, declared: Declared) -> int:
    """Bits of a channel that are left of what the file declares."""
    return 0 if outcome.first is None else min(outcome.first.bits, declared.bits)


def _fits(own: Outcome, readers: Mapping[str, Outcome]) -> bool:
    """Whether what was read in more bits is the same numbers."""
    mine = own.first.pixels if own.first else None
    return mine is not None and any(
        other.first.pixels.dtype.kind in "iu"
        and other.first.pixels.dtype.itemsize > mine.dtype.itemsize
        and np.array_equal(other.first.pixels, mine)
        for other in readers.values()
        if other.first is not None
    )


def _compared(declared: Declared, own: Outcome, others: Mapping[str, Outcome]) -> Verdict:
    assert own.first is not None
    differences, agreed = dict[str, Difference | None](), dict[str, str]()
    for name, other in others.items():
        assert other.first is not None
        found = difference(own.first, other.first, declared)
        differences[name] = found
        bits = min(kept_bits(own, declared), kept_bits(other, declared))
        if found is None or not found.within(_tolerance(bits), declared.is_lossy):
            continue
        short = f"{bits} of {kept_bits(own, declared)} bits" if bits < kept_bits(own, declared) else ""
        agreed[name] = short or _compare_later(declared, own, other)
    if not agreed:
        return Verdict("different", _largest(differences), differences)
    if "" in agreed.values():
        return Verdict("right", "", differences)
    return Verdict(
        "right, less checked", "; ".join(f"{name}: {why}" for name, why in agreed.items()), differences
    )


def _compare_later(declared: Declared, own: Outcome, other: Outcome) -> str:
    """What is wrong with pages after the first; each of the zoo's is looked for in the other's order."""
    assert own.first is not None
    if own.later_said:
        return f"the zoo stops at page {len(own.later) + 2}: {own.later_said}"
    rest = iter(other.later)
    for number, page in enumerate(own.later):
        tolerance = _tolerance(min(page.bits, 16))
        if not any(_agree(page, candidate, declared, tolerance) for candidate in rest):
            return f"page {number + 2} is not found"
    return ""


def _agree(own: Read, other: Read, declared: Declared, tolerance: float) -> bool:
    found = difference(own, other, declared)
    tolerance = max(tolerance, _tolerance(min(own.bits, other.bits)))
    return found is not None and found.within(tolerance, declared.is_lossy)


def _tolerance(bits: int) -> float:
    return OF_8_BITS if bits <= 8 else DEEP


def _largest(differences: Mapping[str, Difference | None]) -> str:
    return ", ".join(
        f"{name}: {'another size' if found is None else f'{found.largest:.4f}'}"
        for name, found in differences.items()
    )


def difference(own: Read, other: Read, declared: Declared) -> Difference | None:
    """Between two reads of a page in the form that suits them best; None where sizes differ.

    Args:
        own: in which white is that of its type.
        other: in which it may be that of the file, and which may lie as in the file.
        declared: by the file.
    """
    found = [
        _difference(own.pixels, TURNS[turn](other.pixels), white)
        for white in _whites(other.pixels, declared)
        for turn in {1, other.orientation if other.orientation in TURNS else 1}
    ]
    return min((item for item in found if item), key=lambda item: (item.mean, item.largest), default=None)


def common(pixels: Array, white: float | None = None) -> Array:
    """(H, W, 4) float32, white is 1: RGB times alpha, which hides what decoders make up, and alpha."""
    if white is None:
        white = next(iter(_whites(pixels, None)))
    values = (pixels if pixels.ndim == 3 else pixels[..., None]).astype(np.float32) / np.float32(white)
    channels = values.shape[2]
    alpha = values[..., -1:] if channels in (2, 4) else np.ones_like(values[..., :1])
    colours = values[..., :3] if channels >= 3 else np.repeat(values[..., :1], 3, axis=2)
    return np.concatenate([colours * alpha, alpha], axis=2)


def _whites(pixels: Array, declared: Declared | None) -> Iterable[float]:
    """What may stand for white: of the type first, and of the file."""
    if pixels.dtype.kind == "f":
        return [1.0]
    whole = 255.0 if pixels.dtype.itemsize == 1 else 65535.0  # 32-bit integers count as 16 where they fit
    if declared is None or not declared.white:
        return [whole]
    bits = declared.white.bit_length()
    return [whole, float(declared.white), float(declared.white << max(0, 16 - bits))]


def _difference(one: Array, other: Array, white: float) -> Difference | None:
    if one.shape[:2] != other.shape[:2]:
        return None
    rows, peaks, total = max(1, _SLAB // one.shape[1]), list[Array](), 0.0
    for start in range(0, len(one), rows):  # by slabs, because floats of a large picture are larger still
        mine, theirs = common(one[start : start + rows]), common(other[start : start + rows], white)
        with np.errstate(invalid="ignore"):
            apart = np.abs(mine - theirs)
        same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        apart = np.where(same, 0, np.nan_to_num(apart, nan=np.inf))
        peaks.append(apart.max(axis=2).ravel())
        total += float(apart.mean(dtype=np.float64)) * len(mine)
    peak = np.concatenate(peaks)
    ninety_nine = float(np.quantile(peak, 0.99, method="lower"))
    return Difference(float(peak.max()), ninety_nine, total / len(one))


def as_numbers(verdict: Verdict) -> dict[str, Any]:
    """The verdict for a report."""
    return {
        "zoo": verdict.name,
        "why": verdict.why,
        "differences": {
            name: None if found is None else [round(found.largest, 6), round(found.mean, 6)]
            for name, found in verdict.differences.items()
        },
    }
