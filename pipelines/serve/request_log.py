"""What became of each request: an id, the time of its parts, a line in the log, numbers for Prometheus."""

import json
import logging
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serve.errors import REQUEST_ID, make_error
from pipelines.serve.metrics import Metrics

LogForm = Literal["text", "json", "none"]
PARTS = ("queue", "decode", "network", "encode")
QUIET = ("/livez", "/readyz", "/metrics", "/docs")
"""What probes and pages ask all the time: no lines in the log."""
_RECORD = "tunable.record"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_log = logging.getLogger(__name__)


@dataclass
class Record:
    """A request to be logged; what handles it fills in what it knows.

    Attributes:
        id: of the client, or a new one.
        model: that it asks for.
        values: of all sliders.
        pixels: that are computed.
        parts_ms: time of each part, of ``PARTS``.
        status: of the answer; 0 where the client left before.
    """

    id: str
    model: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    pixels: int = 0
    parts_ms: dict[str, float] = field(default_factory=dict)
    status: int = 0

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(part, begun)

    def add(self, part: str, begun: float) -> None:
        """Add the time since ``begun``, of ``time.perf_counter``, to a part."""
        self.parts_ms[part] = self.parts_ms.get(part, 0.0) + 1000 * (time.perf_counter() - begun)


def record_of(scope: Scope) -> Record:
    """The record of a request; one that nobody reads where it passed no :class:`RequestLog`."""
    record: Record = scope.setdefault(_RECORD, Record(id=""))
    return record


class RequestLog:
    """ASGI middleware, the outermost, that gives each request an id, measures and logs it.

    The answer carries the id as ``X-Request-Id`` and the parts as ``Server-Timing``. What goes wrong inside
    is answered with 500 here, and raised again for the server's log.

    Args:
        app: what answers.
        form: of the lines on standard output.
        metrics: numbers for Prometheus.
    """

    def __init__(self, app: ASGIApp, *, form: LogForm, metrics: Metrics) -> None:
        self.app, self._form, self._metrics = app, form, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        record = scope[_RECORD] = Record(id=given if _ID.fullmatch(given) else uuid.uuid4().hex)
        REQUEST_ID.set(record.id)
        begun = time.perf_counter()

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = record.id
                if record.parts_ms:
                    headers["Server-Timing"] = ", ".join(
                        f"{part};dur={took:.1f}" for part, took in record.parts_ms.items()
                    )
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        except Exception as error:
            _log.error("%s %s: %s: %s", scope["method"], scope["path"], type(error).__name__, error)
            if not record.status:
                answer = make_error(500, "internal_error", "internal server error; see the server's log")
                await answer(scope, receive, send_marked)
            raise
        finally:
            self._finish(scope, record, 1000 * (time.perf_counter() - begun))

    def _finish(self, scope: Scope, record: Record, took_ms: float) -> None:
        self._metrics.observe(record.model, record.status, took_ms, record.parts_ms)
        if self._form != "none" and not scope["path"].startswith(QUIET):
            # Not by logging: Ray's and uvicorn's set-up would decide on its form.
            print(format_line(self._form, scope["method"], scope["path"], record, took_ms), flush=True)


def format_line(form: LogForm, method: str, path: str, record: Record, took_ms: float) -> str:
    """One line about a request, for people or as JSON."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    parts = {part: round(took, 1) for part, took in record.parts_ms.items()}
    if form == "json":
        fields = {"time": at, "id": record.id, "method": method, "path": path, "status": record.status}
        about = {"model": record.model, "values": dict(record.values), "pixels": record.pixels}
        return json.dumps(
            {**fields, "ms": round(took_ms, 1), "parts_ms": parts, **(about if record.model else {})}
        )
    words = [
        at,
        method,
        json.dumps(path)[1:-1],
        str(record.status or "gone"),
        f"{took_ms:.0f} ms",
        f"id={record.id}",
    ]
    if record.pixels:
        words.append(f"{record.pixels / 1e6:.2f} MP")
    words += [f"{name}={value:.6g}" for name, value in record.values.items()]
    words += [f"{part}={took:.0f}" for part, took in parts.items()]
    return " ".join(words)
