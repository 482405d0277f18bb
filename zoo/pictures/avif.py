"""What the beginning of an AVIF or HEIC states, by its boxes."""

import re

AVIF = frozenset({b"avif", b"avis"})
HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""What files with HEVC inside say that they are; the last two are any HEIF."""

_HIGH, _TWELVE, _GREY = 0x40, 0x20, 0x10
"""Flags in the third byte of a configuration of AV1."""
_CONFIGURATION = re.compile(rb"av1C\x81.(.)", re.DOTALL)
_RANGE = re.compile(rb"colrnclx.{6}(.)", re.DOTALL)
_FULL = 0x80


def brands(head: bytes) -> set[bytes]:
    """What a file of boxes says that it is; the first four bytes are the length of that box."""
    if head[4:8] != b"ftyp":
        return set()
    end = int.from_bytes(head[:4], "big")
    return {head[start : start + 4] for start in (8, *range(16, min(end, len(head)), 4))}


def stated_bits(head: bytes) -> int:
    """Of a channel, by the first configuration of AV1 in these bytes."""
    flags = _flags(head)[:1] or [0]
    return 8 if not flags[0] & _HIGH else 12 if flags[0] & _TWELVE else 10


def is_limited_grey(head: bytes) -> bool:
    """Whether an AVIF has no colours, and does not say that its black is 0 and its white all bits.

    Where the boxes do not say it, the stream of AV1 does, and encoders for video take the limited range.
    """
    grey = [flags & _GREY for flags in _flags(head)]  # that of alpha is always grey
    said = _RANGE.search(head)
    return bool(grey) and all(grey) and not (said and said[1][0] & _FULL)


def _flags(head: bytes) -> list[int]:
    return [found[0] for found in _CONFIGURATION.findall(head)]
