"""Parse requests to ``:apply`` (multipart/form-data: a picture and slider values) and limit their size."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.core.errors import ConfigError
from pipelines.core.sliders import parse_value
from pipelines.serve.errors import RequestError

IMAGE_FIELD = "image"
"""The field that holds the picture; every other field is a slider."""


@dataclass(frozen=True)
class Upload:
    """A parsed request.

    Attributes:
        image: the file's bytes, not decoded yet.
        values: the sliders in the form, in native units; names and ranges are not checked yet.
    """

    image: bytes
    values: dict[str, float]


async def read_upload(request: Request) -> Upload:
    """Read and check the form of a request.

    Raises:
        RequestError: 415 not multipart, 400 malformed, 413 too large, 422 a field is missing, duplicate,
            invalid or in the query.
    """
    _check_query(request.query_params.keys())
    _check_content_type(request.headers.get("content-type", ""))
    async with request.form() as form:
        _check_unique(form)
        return Upload(image=await _read_image(form), values=_read_values(form))


class BodyLimit:
    """ASGI middleware that rejects bodies of more than ``max_bytes`` with RequestError (413).

    Bytes are counted as they arrive, so a missing or false Content-Length makes no difference; one that
    declares too much is rejected before the first byte is read.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = 0

        # Raises where the app reads, and so inside its error handlers.
        async def receive_counted() -> Message:
            nonlocal seen
            self._check_size(_declared_length(scope))
            message = await receive()
            seen += len(message.get("body", b""))
            self._check_size(seen)
            return message

        await self.app(scope, receive_counted, send)

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            limit = f"{self.max_bytes / 2**20:.4g} MiB"
            message = f"expected a body of at most {limit}, got more; send a smaller file"
            raise RequestError(message, status=413, code="body_too_large")


def _declared_length(scope: Scope) -> int:
    length: bytes = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


def _check_content_type(header: str) -> None:
    kind, _, parameters = header.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        got = kind.strip() or "no content type"
        message = f"expected multipart/form-data, got {got!r}; with curl: -F image=@photo.png"
        raise RequestError(message, status=415, code="unsupported_media_type")
    if "boundary=" not in parameters.lower():
        message = "multipart/form-data came without a boundary; let the HTTP client write Content-Type"
        raise RequestError(message, code="malformed_form")


def _check_query(names: Collection[str]) -> None:
    if names:
        got = ", ".join(repr(name[:40]) for name in names)
        message = f"expected nothing in the query, got {got}; sliders are form fields: -F NAME=VALUE"
        raise _unprocessable(message, "unexpected_query")


def _check_unique(form: FormData) -> None:
    for name, count in Counter(name for name, _ in form.multi_items()).items():
        if count > 1:
            raise _unprocessable(f"field {name[:40]!r} came {count} times; send it once", "duplicate_field")


async def _read_image(form: FormData) -> bytes:
    image = form.get(IMAGE_FIELD)
    if not isinstance(image, UploadFile):
        got = "a text field of that name" if image is not None else "none"
        message = f"expected a file in the field 'image', got {got}; with curl: -F image=@photo.png"
        raise _unprocessable(message, "missing_image")
    return await image.read()


def _read_values(form: FormData) -> dict[str, float]:
    return {name: _parse_field(name, field) for name, field in form.items() if name != IMAGE_FIELD}


def _parse_field(name: str, field: UploadFile | str) -> float:
    if isinstance(field, UploadFile):
        raise _unprocessable(f"{name[:40]}: expected a number, got a file", "invalid_slider")
    try:
        return parse_value(name[:40], field)
    except ConfigError as error:
        raise _unprocessable(str(error), "invalid_slider") from error


def _unprocessable(message: str, code: str) -> RequestError:
    return RequestError(message, status=422, code=code)
