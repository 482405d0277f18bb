"""Which files promise a photograph, by their names."""

from pathlib import PurePosixPath

SUFFIXES = frozenset({".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""File names that promise a photograph; other files are counted and passed over."""


def is_photo(name: str) -> bool:
    """Whether a file of that name or path should hold a photograph."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES
