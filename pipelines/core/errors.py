"""Errors of the pipeline, by what a caller can do about them, and their messages.

PipelineError
├── ConfigError (ValueError)         params.yaml or a parameter is invalid
├── DataError (ValueError)           photographs or an artefact are missing or invalid
├── CheckpointError (RuntimeError)   no checkpoint of this run is readable
└── TrainingError (RuntimeError)     the run failed (a dead worker, a full disk)
    ├── LoaderError                  a data loader process died or hangs; retrying may help
    └── DivergedError                non-finite numbers; retrying would not help

Every constructor takes one message, so that the errors can be pickled.
"""

import errno
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

DEBUG = "TUNABLE_DEBUG"
"""Environment variable: 1 shows the traceback of expected errors too."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk or quota."""


class PipelineError(Exception):
    """Base of the expected errors, which the command line prints as one line."""


class ConfigError(PipelineError, ValueError):
    """``params.yaml`` or a parameter of a command is missing, unknown or out of range."""


class DataError(PipelineError, ValueError):
    """Photographs or artefacts are missing, unreadable or do not belong together."""


class CheckpointError(PipelineError, RuntimeError):
    """All checkpoints of this run are damaged."""


class TrainingError(PipelineError, RuntimeError):
    """Training cannot continue."""


class DivergedError(TrainingError):
    """Non-finite loss, gradient or score."""


class LoaderError(TrainingError):
    """A data loader process died or hangs."""


_ROOTS = (
    ("pipelines.core.errors", "PipelineError"),
    ("tunable_models.errors", "TunableError"),
    ("zoo.errors", "ZooError"),
)


def is_expected(error: BaseException) -> bool:
    """Whether an error is of our packages, with a message that says what to do."""
    # A package that is not imported cannot have raised it, so none is imported for this.
    roots = tuple(getattr(sys.modules[module], name) for module, name in _ROOTS if module in sys.modules)
    return isinstance(error, roots)


def describe_error(error: BaseException) -> str | None:
    """Message for the user of a command; None if an error needs its traceback."""
    if is_expected(error):
        return str(error)
    if not isinstance(error, OSError):
        return None
    if error.errno in FULL:  # has no file name if the file was open
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}expected room to write, got: {error.strerror}; free some and run again"
    return f"{error.filename}: {error.strerror}" if error.filename else None


def require_free_space(folder: Path, nbytes: int, what: str) -> None:
    """Check that ``nbytes`` are free on the disk of an existing folder; ``what`` names the data.

    Raises:
        DataError: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise DataError(
            f"expected {nbytes / 1e6:.0f} MB free for {what} in {folder}, got {free / 1e6:.0f} MB; free some"
        )


@contextmanager
def explain_full_disk(
    folder: Path, remedy: str, *, room: str = "room to write", kind: type[PipelineError] = DataError
) -> Iterator[None]:
    """Turn a full disk or quota, in a block that writes into ``folder``, into an error with a remedy.

    Args:
        folder: that the block writes into or creates.
        remedy: end of the message.
        room: what was expected to fit, in the message.
        kind: class of the error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = (
            _describe_free(folder) if error.errno == errno.ENOSPC else ""
        )  # a quota says nothing about the disk
        raise kind(f"expected {room} in {folder}, got: {error.strerror}{free}; {remedy}") from error


def suggest_name(name: object, known: Collection[str], otherwise: str = "expected one of") -> str:
    """End of a message about an unknown name: the closest known one, or the first dozen.

    The same as that of ``tunable_models``, whose import brings torch: commands start without it.
    """
    close = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    first = list(known)[:12]
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"; {otherwise} {', '.join(first) or 'none'}{more}"


def _describe_free(folder: Path) -> str:
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.2f} MB free now)"
    except OSError:  # the folder itself could not be created
        return ""
