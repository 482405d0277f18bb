"""Bodies of requests as they arrive: how large, how slow, and how many at once."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serve.errors import RequestError

LEAST_BYTES_PER_S = 16_000
"""A body that comes more slowly is refused, after a time in which any may begin."""
BEGINNING_S = 10.0
YOUNG_S = 1.0
"""How old a body is before its rate says something."""


class BodyLimit:
    """ASGI middleware that refuses bodies that are too large or too slow.

    Bytes are counted as they arrive, so a missing or false Content-Length makes no difference; one that
    declares too much is rejected before the first byte is read. Where as many bodies are on their way as may
    be, the slowest one makes room for a new one.

    Args:
        app: what reads the bodies.
        max_bytes: of a body.
        max_uploads: bodies that arrive at once.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_uploads: int) -> None:
        self.app = app
        self.max_bytes, self.max_uploads = max_bytes, max_uploads
        self._uploads = set[_Upload]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, counting its body."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        upload = _Upload()

        # Raises where the app reads, and so inside its error handlers.
        async def receive_counted() -> Message:
            if upload.is_complete:
                return await receive()  # that the client has gone
            self._check_size(_declared_length(scope))
            if upload not in self._uploads:
                self._make_room()
                self._uploads.add(upload)
            message = await upload.wait(receive)
            self._check_size(upload.bytes)
            if not message.get("more_body", False):
                self._uploads.discard(upload)
            return message

        try:
            await self.app(scope, receive_counted, send)
        finally:
            self._uploads.discard(upload)

    def _make_room(self) -> None:
        if len(self._uploads) < self.max_uploads:
            return
        known = [upload for upload in self._uploads if upload.age_s > YOUNG_S]
        if not known:
            raise _full("the server takes in as many pictures as it can; try again")
        slowest = min(known, key=lambda upload: upload.bytes / upload.age_s)
        self._uploads.discard(slowest)
        slowest.end()

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            limit = f"{self.max_bytes / 2**20:.4g} MiB"
            message = f"expected a body of at most {limit}, got more; send a smaller file"
            raise RequestError(message, status=413, code="body_too_large")


class _Upload:
    """A body on its way."""

    def __init__(self) -> None:
        self.begun = asyncio.get_running_loop().time()
        self.bytes, self.is_complete, self._ended = 0, False, False
        self._timeout: asyncio.Timeout | None = None

    @property
    def age_s(self) -> float:
        """Since it began."""
        return asyncio.get_running_loop().time() - self.begun

    def end(self) -> None:
        """Let the wait for the next part of it end now."""
        self._ended = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def wait(self, receive: Receive) -> Message:
        """The next part of it.

        Raises:
            RequestError: 408, too slow; 503, it made room.
        """
        deadline = self.begun + BEGINNING_S + self.bytes / LEAST_BYTES_PER_S
        try:
            async with asyncio.timeout_at(deadline) as self._timeout:
                if self._ended:
                    raise TimeoutError
                message = await receive()
        except TimeoutError as error:
            if self._ended:
                raise _full("it was the slowest of as many as the server takes in; try again") from error
            why = f"the body came at less than {LEAST_BYTES_PER_S / 1000:g} kB/s; send a smaller file"
            raise RequestError(why, status=408, code="upload_too_slow") from error
        finally:
            self._timeout = None
        self.bytes += len(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)
        return message


def _declared_length(scope: Scope) -> int:
    length: bytes = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


def _full(message: str) -> RequestError:
    return RequestError(message, status=503, code="uploads_full", retry_after_s=5)
