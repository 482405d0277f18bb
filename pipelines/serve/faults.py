"""What a client is told when something is wrong: ``{"error": {"code", "message"}}``, never a traceback."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipelines.core.errors import PipelineError

_log = logging.getLogger(__name__)


class RequestError(PipelineError):
    """A request we refuse: what was expected, what came, what to do.

    Attributes:
        status: the HTTP status.
        code: a word for programs, such as ``unknown_model``.
        retry_after_s: when trying again makes sense.
    """

    def __init__(
        self, message: str, *, status: int = 400, code: str = "bad_request", retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class Fault(BaseModel):
    """A word for programs and a sentence for people."""

    code: str
    message: str


class FaultBody(BaseModel):
    """The body of every answer that is not a success."""

    error: Fault


def install(app: FastAPI) -> None:
    """Give every error of ``app`` the one shape."""
    app.exception_handler(RequestError)(_refused)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(ClientDisconnect)(_gone)
    app.exception_handler(Exception)(_unforeseen)


def answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for one fault."""
    body = FaultBody(error=Fault(code=code, message=message))
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def _refused(_: Request, error: RequestError) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else None
    return answer(error.status, error.code, str(error), headers)


def _http(request: Request, error: HTTPException) -> JSONResponse:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    message = f"{request.method} {request.url.path}: {error.detail}; see /docs for what there is"
    return answer(error.status_code, code, message, error.headers)


def _gone(_: Request, __: ClientDisconnect) -> JSONResponse:
    return answer(400, "incomplete_body", "the connection ended before the whole request had come")


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    # Starlette raises the error again after this answer, and Ray Serve logs it with its traceback.
    _log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return answer(500, "internal_error", "something went wrong on our side; the server's log says what")
