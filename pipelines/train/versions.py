"""Versions of what computes a run's numbers beside its own code."""

import platform
from importlib.metadata import version

NUMBERS = ("torch", "numpy", "albumentations")
"""Packages on whose versions the numbers of a run depend."""


def installed_versions() -> dict[str, str]:
    """Of Python, its minor version, and of :data:`NUMBERS`, as this process has them."""
    major, minor, _ = platform.python_version_tuple()
    return {"Python": f"{major}.{minor}", **{name: version(name) for name in NUMBERS}}
