"""Error responses: each is JSON with a code, a message and the request's id, without a traceback."""

from collections.abc import Mapping
from contextvars import ContextVar
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipelines.core.errors import PipelineError

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""


class RequestError(PipelineError):
    """A rejected request: what was expected, what came, what to do.

    Attributes:
        status: the HTTP status.
        code: machine-readable, such as ``unknown_model``.
        retry_after_s: sent as Retry-After if not None.
    """

    def __init__(
        self, message: str, *, status: int = 400, code: str = "bad_request", retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class ErrorDetail(BaseModel):
    """A machine-readable code, a message for people, and the request's id in the server's log."""

    code: str
    message: str
    request_id: str


class ErrorBody(BaseModel):
    """The body of every error response."""

    error: ErrorDetail


def add_error_handlers(app: FastAPI) -> None:
    """Render what ``app`` raises as an :class:`ErrorBody`; :class:`RequestLog` does so for the unexpected."""
    app.exception_handler(RequestError)(_handle_request_error)
    app.exception_handler(HTTPException)(_handle_http_exception)
    app.exception_handler(ClientDisconnect)(_handle_disconnect)


def make_error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A response with an :class:`ErrorBody`."""
    body = ErrorBody(error=ErrorDetail(code=code, message=message, request_id=REQUEST_ID.get()))
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def _handle_request_error(_: Request, error: RequestError) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else None
    return make_error(error.status, error.code, str(error), headers)


def _handle_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    message = f"{request.method} {request.url.path}: {error.detail}; see /docs for the available routes"
    return make_error(error.status_code, code, message, error.headers)


def _handle_disconnect(_: Request, __: ClientDisconnect) -> JSONResponse:
    return make_error(400, "incomplete_body", "the connection closed before the request was complete")
