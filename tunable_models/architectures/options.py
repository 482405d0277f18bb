"""Validate configuration values, which may come from untrusted files."""

import math
from collections.abc import Sequence
from typing import Any

from tunable_models.errors import ArchitectureError


def check_integer(owner: str, name: str, value: Any, low: int, high: int) -> int:
    """The value, if it is an integer from ``low`` to ``high``.

    Raises:
        ArchitectureError: it is not; ``True`` is no integer.

    Example:
        >>> check_integer("edsr", "width", 32, 1, 256)
        32
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ArchitectureError(f"{owner}: {name} must be an integer from {low} to {high}, got {value!r}")
    return value


def check_integers(
    owner: str, name: str, value: Any, low: int, high: int, longest: int, shortest: int = 1
) -> tuple[int, ...]:
    """The value as a tuple, if it is a list or tuple of ``shortest`` to ``longest`` such integers.

    Raises:
        ArchitectureError: it is not.

    Example:
        >>> check_integers("nafnet", "enc_blocks", [2, 2, 4, 8], 0, 64, 6)
        (2, 2, 4, 8)
    """
    if not isinstance(value, (list, tuple)) or not shortest <= len(value) <= longest:
        shown = repr(value) if not isinstance(value, (list, tuple)) else f"{len(value)} of them"
        many = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        raise ArchitectureError(f"{owner}: {name} must be a list of {many} integers, got {shown}")
    return tuple(check_integer(owner, f"{name}[{i}]", item, low, high) for i, item in enumerate(value))


def check_number(owner: str, name: str, value: Any, low: float, high: float) -> float:
    """The value as a float, if it is a number from ``low`` to ``high``.

    Raises:
        ArchitectureError: it is not.

    Example:
        >>> check_number("edsr", "rgb_range", 255, 1, 65535)
        255.0
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ArchitectureError(f"{owner}: {name} must be a number from {low:g} to {high:g}, got {value!r}")
    return float(value)


def check_flag(owner: str, name: str, value: Any) -> bool:
    """The value, if it is true or false.

    Raises:
        ArchitectureError: it is not; 0 and 1 are numbers.

    Example:
        >>> check_flag("drunet", "residual", True)
        True
    """
    if not isinstance(value, bool):
        raise ArchitectureError(f"{owner}: {name} must be true or false, got {value!r}")
    return value


def check_choice(owner: str, name: str, value: Any, valid: Sequence[str]) -> str:
    """The value, if it is one of the valid ones.

    Raises:
        ArchitectureError: it is not; the message lists them.

    Example:
        >>> check_choice("swinir", "upsampler", "pixelshuffle", ["", "pixelshuffle"])
        'pixelshuffle'
    """
    if value not in valid:
        listed = ", ".join(map(repr, valid))
        raise ArchitectureError(f"{owner}: {name} must be one of {listed}, got {value!r}")
    return str(value)


def check_depth(owner: str, width: int, levels: int, most: int = 4096) -> None:
    """Refuse a network that doubles its channels past ``most``, level by level.

    Raises:
        ArchitectureError: it does.

    Example:
        >>> check_depth("nafnet", width=64, levels=4)
    """
    if width * 2**levels > most:
        raise ArchitectureError(
            f"{owner}: width {width} doubled {levels} times makes {width * 2**levels} channels; "
            f"the limit is {most}, take at most {math.floor(most / 2**levels)}"
        )
