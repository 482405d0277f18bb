"""What can go wrong on the road, as types a caller can act on.

PipelineError
├── ConfigError (ValueError)         params.yaml says something we do not understand
├── DataError (ValueError)           the photographs or a stage's artefact are not what the stage needs
├── CheckpointError (RuntimeError)   no checkpoint of this run can be read
└── TrainingError (RuntimeError)     the run failed (a loss that is no number, a dead worker, a full disk)
    ├── LoaderError                  a process that cut patches died or hangs; another try may do better
    └── DivergedError                numbers are not finite; another try would meet them again

Every constructor takes one message, so the errors survive pickling across processes.
"""

import errno
import sys
from collections.abc import Collection
from difflib import get_close_matches

DEBUG = "TUNABLE_DEBUG"
"""Environment variable: 1 shows the traceback of known errors too."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk is full, or what one may have of it."""


class PipelineError(Exception):
    """Root of the errors that the pipeline raises on purpose; the command line prints them in one line."""


class ConfigError(PipelineError, ValueError):
    """``params.yaml`` or a command's parameter is missing, unknown or out of range."""


class DataError(PipelineError, ValueError):
    """Photographs or artefacts are missing, unreadable or do not belong together."""


class CheckpointError(PipelineError, RuntimeError):
    """Checkpoints of this run exist, and none of them is whole."""


class TrainingError(PipelineError, RuntimeError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """The loss, a gradient or a score is no finite number."""


class LoaderError(TrainingError):
    """A process that cut patches died or hangs."""


_ROOTS = (
    ("pipelines.core.errors", "PipelineError"),
    ("tunable_models.errors", "TunableError"),
    ("zoo.errors", "ZooError"),
)


def is_expected(error: BaseException) -> bool:
    """Whether an error was raised on purpose by one of the packages, and says in a sentence what to do."""
    # An error of a package that nobody has imported cannot have been raised, so none is imported for this.
    roots = tuple(getattr(sys.modules[module], name) for module, name in _ROOTS if module in sys.modules)
    return isinstance(error, roots)


def sentence(error: BaseException) -> str | None:
    """What to tell whoever gave the command; None if only a traceback says it."""
    if is_expected(error):
        return str(error)
    if not isinstance(error, OSError):
        return None
    if error.errno in FULL:  # such an error knows no file's name where the file was open
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}expected room to write, got: {error.strerror}; free some and run again"
    return f"{error.filename}: {error.strerror}" if error.filename else None


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
