"""What can go wrong between a run and its tracking server."""

from pipelines.core.errors import PipelineError


class TrackingError(PipelineError, RuntimeError):
    """The server cannot be reached, is too slow, or has a fault: worth another try later."""


class RefusedError(TrackingError):
    """The server understood and said no: it will say so again."""


class ForgottenError(TrackingError):
    """The server answers and has no such run: another database, or the run was deleted."""
