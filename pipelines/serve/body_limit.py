"""A limit on request bodies that does not trust Content-Length."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serve.faults import RequestError


class BodyLimit:
    """ASGI middleware: reading a body beyond ``max_bytes`` raises RequestError (413).

    The bytes are counted as they come, so a missing or false Content-Length changes nothing; an honest one
    that is too large is refused before the first byte is read.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = 0

        # Raised where the app reads, and so inside its error handlers.
        async def counted() -> Message:
            nonlocal seen
            self._check(_declared(scope))
            message = await receive()
            seen += len(message.get("body", b""))
            self._check(seen)
            return message

        await self.app(scope, counted, send)

    def _check(self, size: int) -> None:
        if size > self.max_bytes:
            limit = f"{self.max_bytes / 2**20:.4g} MiB"
            message = f"expected a body of at most {limit}, got more; send a smaller file"
            raise RequestError(message, status=413, code="body_too_large")


def _declared(scope: Scope) -> int:
    length: bytes = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0
