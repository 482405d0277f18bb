"""Brands, bit depth and range in the first bytes of an AVIF or HEIC file."""

import re

AVIF = frozenset({b"avif", b"avis"})
HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""Brands of files with HEVC; the last two are of any HEIF."""

_HIGH, _TWELVE, _GREY = 0x40, 0x20, 0x10
"""Flags in the third byte of a configuration of AV1."""
_CONFIGURATION = re.compile(rb"av1C\x81.(.)", re.DOTALL)
_RANGE = re.compile(rb"colrnclx.{6}(.)", re.DOTALL)
_FULL = 0x80


def read_brands(head: bytes) -> set[bytes]:
    """Brands in the ``ftyp`` box of a file; empty if it has none."""
    if head[4:8] != b"ftyp":
        return set()
    end = int.from_bytes(head[:4], "big")
    return {head[start : start + 4] for start in (8, *range(16, min(end, len(head)), 4))}


def stated_bits(head: bytes) -> int:
    """Bits of a channel, by the first configuration of AV1 in these bytes."""
    flags = _find_flags(head)[:1] or [0]
    return 8 if not flags[0] & _HIGH else 12 if flags[0] & _TWELVE else 10


def is_limited_grey(head: bytes) -> bool:
    """Whether an AVIF is gray and not marked as full range.

    Without the mark the range is in the AV1 stream, and encoders for video use the limited range.
    """
    grey = [flags & _GREY for flags in _find_flags(head)]  # that of alpha is always grey
    said = _RANGE.search(head)
    return bool(grey) and all(grey) and not (said and said[1][0] & _FULL)


def _find_flags(head: bytes) -> list[int]:
    return [found[0] for found in _CONFIGURATION.findall(head)]
