"""What a client sends to ``:apply``: multipart/form-data with one picture and the sliders it sets."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from pipelines.core.errors import ConfigError
from pipelines.serve.faults import RequestError
from pipelines.serve.sliders import parse_value

IMAGE_FIELD = "image"
"""The field that holds the picture; every other field is a slider."""


@dataclass(frozen=True)
class Upload:
    """One request's content.

    Attributes:
        image: the file's bytes, not looked at yet.
        values: the sliders that were set, in native units; names and ranges not checked yet.
    """

    image: bytes
    values: dict[str, float]


async def read_upload(request: Request) -> Upload:
    """Read and check the form.

    Raises:
        RequestError: 415 not multipart, 400 malformed, 413 too large, 422 a field missing, given twice,
            in the query, or not what it should be.
    """
    _check_query(request.query_params.keys())
    _check_content_type(request.headers.get("content-type", ""))
    async with request.form() as form:
        _check_unique(form)
        return Upload(image=await _image(form), values=_values(form))


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
        raise _wrong(message, "unexpected_query")


def _check_unique(form: FormData) -> None:
    for name, count in Counter(name for name, _ in form.multi_items()).items():
        if count > 1:
            raise _wrong(f"field {name[:40]!r} came {count} times; send it once", "duplicate_field")


async def _image(form: FormData) -> bytes:
    image = form.get(IMAGE_FIELD)
    if not isinstance(image, UploadFile):
        got = "a text field of that name" if image is not None else "none"
        message = f"expected a file in the field 'image', got {got}; with curl: -F image=@photo.png"
        raise _wrong(message, "missing_image")
    return await image.read()


def _values(form: FormData) -> dict[str, float]:
    return {name: _value(name, field) for name, field in form.items() if name != IMAGE_FIELD}


def _value(name: str, field: UploadFile | str) -> float:
    if isinstance(field, UploadFile):
        raise _wrong(f"{name[:40]}: expected a number, got a file", "invalid_slider")
    try:
        return parse_value(name[:40], field)
    except ConfigError as error:
        raise _wrong(str(error), "invalid_slider") from error


def _wrong(message: str, code: str) -> RequestError:
    return RequestError(message, status=422, code=code)
