"""Graceful stop of an endpoint in this process: refuse new pictures, finish running ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.serve.errors import make_error

GRACE_S = 30
"""How long a stop waits for pictures that are being computed."""
RETRY_AFTER_S = 10
"""When to ask a stopping endpoint again: whoever restarts it needs seconds."""
READYZ = "/readyz"
WRITING = ("POST", "PUT")
"""Methods that bring a picture."""


class Readiness:
    """Whether an endpoint accepts pictures, and how many it is working on; thread-safe."""

    def __init__(self) -> None:
        self._stopping = False
        self._running = 0
        self._changed = Condition()

    @property
    def is_stopping(self) -> bool:
        """Whether new pictures are refused."""
        return self._stopping

    def stop(self) -> None:
        """Refuse new pictures from now on."""
        with self._changed:
            self._stopping = True

    @contextmanager
    def admit(self) -> Iterator[bool]:
        """Count a picture as running for the length of the block, unless the endpoint is stopping.

        Yields:
            Whether the picture is accepted.
        """
        with self._changed:
            accepted = not self._stopping
            self._running += accepted
        try:
            yield accepted
        finally:
            with self._changed:
                self._running -= accepted
                self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for running pictures; whether all of them ended in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout_s)


class RefuseWhileStopping:
    """ASGI middleware that answers new pictures and the readiness probe with 503 while the endpoint stops.

    Args:
        app: what answers otherwise.
        readiness: says when the endpoint stops.
    """

    def __init__(self, app: ASGIApp, *, readiness: Readiness) -> None:
        self.app = app
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or answer it with 503."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] in WRITING:
            with self._readiness.admit() as accepted:
                await (self.app if accepted else make_stopping_error())(scope, receive, send)
        elif scope["path"] == READYZ and self._readiness.is_stopping:
            await make_stopping_error()(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def make_stopping_error() -> ASGIApp:
    """The response to requests that a stopping endpoint refuses."""
    message = f"the endpoint is stopping; try again in {RETRY_AFTER_S} s"
    return make_error(503, "stopping", message, {"Retry-After": str(RETRY_AFTER_S)})
