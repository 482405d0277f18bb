"""The errors of this package.

TunableError
├── OmegaError (ValueError)          a slider's value or a tensor omega is not usable
├── ConversionError (TypeError)      a module or a basis cannot be made tunable as asked
└── ArchitectureError (ValueError)   an architecture, or its configuration, is unknown or impossible

Each takes one message: expected, got, what to do. That form survives pickling between processes.
"""

from collections.abc import Collection
from difflib import get_close_matches


class TunableError(Exception):
    """Root of the errors raised on purpose by ``tunable_models``.

    Example:
        >>> try:
        ...     ControlSpace.box("denoise").omega(denoise=2)
        ... except TunableError as error:
        ...     print(error)
        denoise: expected 0 to 1, got 2
    """


class OmegaError(TunableError, ValueError):
    """A control's value, or a tensor omega, is unknown, out of range, not finite or of a wrong shape.

    Example:
        >>> try:
        ...     ControlSpace.box("denoise").omega(denoize=0.5)
        ... except OmegaError as error:
        ...     print(error)
        unknown control 'denoize'; did you mean 'denoise'?
    """


class ConversionError(TunableError, TypeError):
    """A module, a basis or a loss that cannot work as asked.

    Example:
        >>> try:
        ...     make_tunable(nn.Sequential(nn.Conv2d(3, 8, 1), nn.LSTM(8, 8)), controls=2)
        ... except ConversionError as error:
        ...     print(error)
        cannot make 1 (LSTM) tunable: it keeps tensors or modules of its own once more in ...
    """


class ArchitectureError(TunableError, ValueError):
    """An architecture that is not registered, or a configuration it cannot take.

    Example:
        >>> try:
        ...     build("nafnett")
        ... except ArchitectureError as error:
        ...     print(error)
        unknown architecture 'nafnett'; did you mean 'nafnet'?
    """


def suggest_name(name: object, known: Collection[str], otherwise: str = "expected one of") -> str:
    """End of a message about an unknown name: the closest known one, or the first dozen.

    Example:
        >>> suggest_name("denoize", ["denoise", "deblur"])
        "; did you mean 'denoise'?"
        >>> suggest_name("x", ["denoise", "deblur"])
        '; expected one of denoise, deblur'
    """
    close = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    first = list(known)[:12]
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"; {otherwise} {', '.join(first) or 'none'}{more}"
