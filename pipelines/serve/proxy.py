"""Error responses of Ray Serve's HTTP proxy, in the endpoint's own form.

The proxy answers in plain text where no replica does: 429 and 503 with a sentence, 404 where no application
is, and, where a replica ends with a request in its hands, nothing at all, which uvicorn makes a plain 500.
Ray lets a middleware into its proxies by the variable :data:`CALLBACK`, which their environment must have.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serve.errors import make_error
from pipelines.serve.lifecycle import make_stopping_error

CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
"""Names the function that lists middlewares of the proxies."""
RETRY_AFTER_S = 3
"""When a request that a replica dropped may come again: another one, or its successor, should be there."""
RAYS_OWN = "/-/"
"""Paths that the proxy itself answers: its health, and its routes."""
MODELS = "/v1/models/"
CODES = {404: "not_found", 408: "timeout", 429: "busy", 503: "unavailable"}


def list_private_middlewares() -> list[Middleware]:
    """What the proxy of a private cluster gets: it serves one application, and none only while that stops."""
    return [Middleware(ProxyErrors, prefix="/", shared=False)]


def list_shared_middlewares() -> list[Middleware]:
    """What proxies of a shared cluster get, which leave the answers of other applications as they are."""
    return [Middleware(ProxyErrors, prefix=MODELS, shared=True)]


class ProxyErrors:
    """ASGI middleware that gives the proxy's own errors a body of JSON, and Retry-After.

    Args:
        app: the proxy.
        prefix: of paths that the endpoint's applications answer.
        shared: whether a path without an application is a client's mistake.
    """

    def __init__(self, app: ASGIApp, *, prefix: str, shared: bool) -> None:
        self.app = app
        self._prefix = prefix
        self._shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, and its response unless that is an error of the proxy."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(RAYS_OWN) or not path.startswith(self._prefix):
            await self.app(scope, receive, send)
            return
        head: Message | None = None
        started = False

        async def send_unless_error(message: Message) -> None:
            nonlocal head, started
            if message["type"] == "http.response.start":
                head = message  # held back until there is a body: the replica can end between the two
            elif head is not None and not _is_from_proxy(head):
                if not started:
                    started = True
                    await send(head)
                await send(message)

        await self.app(scope, receive, send_unless_error)
        if not started:
            await self._make_error(head, path)(scope, receive, send)

    def _make_error(self, head: Message | None, path: str) -> ASGIApp:
        if head is None or not _is_from_proxy(head):
            message = "the process that worked on this request ended; send it again"
            return make_error(503, "unavailable", message, {"Retry-After": str(RETRY_AFTER_S)})
        status = head["status"]
        if status == 404 and not self._shared:
            return make_stopping_error()
        if status == 404:
            return make_error(404, CODES[404], f"{path[:200]}: no model of that name is served here")
        sent = dict(head["headers"]).get(b"retry-after", str(RETRY_AFTER_S).encode()).decode()
        headers = {"Retry-After": sent} if status in (429, 503) else None
        return make_error(status, CODES[status], "the endpoint cannot take this request now", headers)


def _is_from_proxy(head: Message) -> bool:
    """Whether a response is an error of Ray's: the endpoint's own are JSON."""
    kind = dict(head.get("headers", ())).get(b"content-type", b"")
    return head["status"] in CODES and kind.startswith(b"text/plain")
