"""The errors of this package.

TunableError
├── OmegaError (ValueError)          a slider's value or a tensor omega is not usable
├── ConversionError (TypeError)      a module or a basis cannot be made tunable as asked
└── ArchitectureError (ValueError)   an architecture, or its configuration, is unknown or impossible

Each takes one message: expected, got, what to do. That form survives pickling between processes.
"""


class TunableError(Exception):
    """Root of the errors raised on purpose by ``tunable_models``."""


class OmegaError(TunableError, ValueError):
    """A control's value, or a tensor omega, is unknown, out of range, not finite or of a wrong shape."""


class ConversionError(TunableError, TypeError):
    """A module, a basis or a loss that cannot work as asked."""


class ArchitectureError(TunableError, ValueError):
    """An architecture that is not registered, or a configuration it cannot take."""
