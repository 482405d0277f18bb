"""Parse requests to ``:apply``: a picture, sliders and options, as a form, or as a raw body with a query."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from pipelines.core.errors import ConfigError
from pipelines.core.sliders import parse_value
from pipelines.serve.errors import RequestError
from zoo.predictor import Region

IMAGE_FIELD = "image"
"""The field of a form that holds the picture, or the SHA-256 of one that was sent before."""

MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"
RAW = ("application/octet-stream", "binary/octet-stream")
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REGION = re.compile(r"\d{1,9},\d{1,9},\d{1,9},\d{1,9}", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Options:
    """What a request asks for beside its sliders.

    Attributes:
        region: the part of the picture that is wanted, in pixels of the input.
        max_side: the longest side of the answer, in pixels.
        quality: of a lossy answer, 1 to 100.
        metadata: ``keep`` or ``none``.
    """

    region: Region | None = None
    max_side: int | None = None
    quality: int | None = None
    metadata: str = "keep"


OPTIONS = tuple(field.name for field in fields(Options))
RESERVED = (IMAGE_FIELD, *OPTIONS)
"""Names of fields that are no sliders."""


@dataclass(frozen=True)
class ApplyRequest:
    """A parsed request.

    Attributes:
        image: the file's bytes, not decoded yet; or the SHA-256 of a picture that is kept, in hexadecimal.
        values: the sliders, in native units; names and ranges are not checked yet.
        options: the rest.
    """

    image: bytes | str
    values: dict[str, float]
    options: Options


async def read_apply_request(request: Request) -> ApplyRequest:
    """Read the body and the query of a request.

    Raises:
        RequestError: 415 another type of content, 400 malformed, 413 too large, 422 a field is missing,
            duplicate, invalid, or in the query beside a form.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind in (MULTIPART, URLENCODED):
        _check_no_query(request.query_params.keys())
        if kind == MULTIPART and "boundary=" not in parameters.lower():
            message = "multipart/form-data came without a boundary; let the HTTP client write Content-Type"
            raise RequestError(message, code="malformed_form")
        return await _read_form(request, kind)
    if kind and kind not in RAW and not kind.startswith("image/"):
        message = (
            f"expected multipart/form-data, image/* or application/octet-stream, got {kind!r}; "
            "with curl: -F image=@photo.png"
        )
        raise RequestError(message, status=415, code="unsupported_media_type")
    return await _read_raw(request)


def read_digest(text: str) -> str:
    """The SHA-256 of a picture, in hexadecimal.

    Raises:
        RequestError: 422, it is none.
    """
    if not _DIGEST.fullmatch(text.lower()):
        message = f"expected the SHA-256 of a picture as 64 hexadecimal digits, got {text[:80]!r}"
        raise _unprocessable(message, "invalid_digest")
    return text.lower()


async def _read_form(request: Request, kind: str) -> ApplyRequest:
    async with request.form() as form:
        _check_unique(name for name, _ in form.multi_items())
        image = form.get(IMAGE_FIELD)
        if image is None:
            # What curl --data-binary sends without a type of content.
            hint = "with curl: -F image=@photo.png"
            if kind == URLENCODED:
                hint += "; a picture alone as the body needs -H 'Content-Type: application/octet-stream'"
            message = f"expected a file in the field 'image', got none; {hint}"
            raise _unprocessable(message, "missing_image")
        content = await image.read() if isinstance(image, UploadFile) else _parse_image(image)
        texts = {name: _read_text(name, field) for name, field in form.items() if name != IMAGE_FIELD}
        return ApplyRequest(content, *_parse_texts(texts))


async def _read_raw(request: Request) -> ApplyRequest:
    """A picture as the body, or none and the SHA-256 of one in the query; the rest is in the query."""
    query = request.query_params
    _check_unique(name for name, _ in query.multi_items())
    content = await request.body()
    digest = query.get(IMAGE_FIELD)
    if bool(content) == (digest is not None):
        got = "both" if content else "neither"
        message = f"expected a picture as the body, or image=SHA256 in the query, got {got}"
        raise _unprocessable(message, "missing_image")
    texts = {name: text for name, text in query.items() if name != IMAGE_FIELD}
    return ApplyRequest(content or _parse_image(digest or ""), *_parse_texts(texts))


def _parse_image(text: str) -> str:
    """The digest that stands for a picture."""
    try:
        return read_digest(text)
    except RequestError as error:
        message = (
            f"expected a file in the field 'image', or the SHA-256 of one that was sent before, got "
            f"{text[:80]!r}; with curl: -F image=@photo.png"
        )
        raise _unprocessable(message, "missing_image") from error


def _check_no_query(names: Iterable[str]) -> None:
    if got := ", ".join(repr(name[:40]) for name in names):
        message = (
            f"expected nothing in the query beside a form, got {got}; put it into the form: -F NAME=VALUE"
        )
        raise _unprocessable(message, "unexpected_query")


def _check_unique(names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise _unprocessable(f"field {name[:40]!r} came {count} times; send it once", "duplicate_field")


def _read_text(name: str, field: UploadFile | str) -> str:
    if isinstance(field, UploadFile):
        raise _unprocessable(f"{name[:40]}: expected a number, got a file", "invalid_slider")
    return field


def _parse_texts(texts: Mapping[str, str]) -> tuple[dict[str, float], Options]:
    given = {name: _PARSERS[name](text) for name, text in texts.items() if name in _PARSERS}
    try:
        values = {name: parse_value(name[:40], text) for name, text in texts.items() if name not in _PARSERS}
    except ConfigError as error:
        raise _unprocessable(str(error), "invalid_slider") from error
    return values, Options(**given)


def _parse_region(text: str) -> Region:
    if not _REGION.fullmatch(text):
        raise _invalid_option("region", "left,top,width,height in pixels, such as 0,0,640,480", text)
    left, top, width, height = map(int, text.split(","))
    return left, top, width, height


def _parse_max_side(text: str) -> int:
    if not _COUNT.fullmatch(text) or int(text) < 1:
        raise _invalid_option("max_side", "a number of pixels, such as 1600", text)
    return int(text)


def _parse_quality(text: str) -> int:
    if not _COUNT.fullmatch(text) or not 1 <= int(text) <= 100:
        raise _invalid_option("quality", "a whole number from 1 to 100", text)
    return int(text)


def _parse_metadata(text: str) -> str:
    if text not in ("keep", "none"):
        raise _invalid_option("metadata", "'keep' or 'none'", text)
    return text


_PARSERS: dict[str, Callable[[str], Any]] = {
    "region": _parse_region,
    "max_side": _parse_max_side,
    "quality": _parse_quality,
    "metadata": _parse_metadata,
}


def _invalid_option(name: str, expected: str, text: str) -> RequestError:
    return _unprocessable(f"{name}: expected {expected}, got {text[:40]!r}", "invalid_option")


def _unprocessable(message: str, code: str) -> RequestError:
    return RequestError(message, status=422, code=code)
