"""Versions of what computes a run's numbers beside its own code."""

import platform
from collections.abc import Mapping
from importlib.metadata import version

NUMBERS = ("torch", "numpy", "albumentations")
"""Packages on whose versions the numbers of a run depend."""


def installed_versions() -> dict[str, str]:
    """Of Python, its minor version, and of :data:`NUMBERS`, as this process has them."""
    major, minor, _ = platform.python_version_tuple()
    return {"Python": f"{major}.{minor}", **{name: version(name) for name in NUMBERS}}


def changed_versions(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Those that both know and that differ: name to ``{"was": ..., "is": ...}``."""
    known = sorted(before.keys() & now.keys())
    return {name: {"was": before[name], "is": now[name]} for name in known if before[name] != now[name]}


def said(changed: Mapping[str, Mapping[str, str]]) -> str:
    """In words, what :func:`changed_versions` found."""
    return "; ".join(
        f"{name} {version['is']}, formerly {version['was']}" for name, version in changed.items()
    )
