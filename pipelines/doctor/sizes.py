"""Bytes for people, in powers of ten as disks are sold."""


def size(count: float) -> str:
    """Bytes in B, kB, MB, GB or TB, with two digits or three."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
