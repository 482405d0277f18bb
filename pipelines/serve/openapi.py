"""The parts of the OpenAPI schema that FastAPI cannot derive: each model's form, and every answer."""

from typing import Any

from pipelines.serve.faults import FaultBody
from pipelines.serve.upload import IMAGE_FIELD
from tunable_models import Control
from zoo import Predictor

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The form is malformed."},
    404: {"description": "No such model."},
    408: {"description": "The request took too long."},
    413: {"description": "Too many bytes or pixels."},
    415: {"description": "Not multipart/form-data."},
    422: {"description": "The picture is missing or broken, or a slider is unknown or out of range."},
    429: {"description": "Busy; Retry-After says when to come back."},
    500: {"description": "A fault of the server."},
}


def form_schema(model: Predictor) -> dict[str, Any]:
    """The ``requestBody`` of the model's ``:apply`` in OpenAPI's words."""
    image = {"type": "string", "format": "binary", "description": "The picture: PNG, JPEG, WebP, TIFF, ..."}
    schema = {
        "type": "object",
        "required": [IMAGE_FIELD],
        "additionalProperties": False,
        "properties": {IMAGE_FIELD: image} | {c.name: _slider_schema(c) for c in model.controls},
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def responses() -> dict[int | str, dict[str, Any]]:
    """Every answer of ``:apply``."""
    headers = {
        "Tunable-Model": {"description": "Name of the model.", "schema": {"type": "string"}},
        "Tunable-Version": {"description": "Version of the model.", "schema": {"type": "string"}},
        "Tunable-Values": {"description": "JSON: the value of every slider.", "schema": {"type": "string"}},
    }
    picture = {"schema": {"type": "string", "format": "binary"}}
    success = {"description": "The picture.", "content": {"image/png": picture}, "headers": headers}
    return {200: success} | {status: refusal(status) for status in _REFUSALS}


def refusal(status: int | str) -> dict[str, Any]:
    """One answer that is not a success."""
    return {"model": FaultBody, **_REFUSALS[status]}


def _slider_schema(control: Control) -> dict[str, Any]:
    unit = f" [{control.unit}]" if control.unit else ""
    return {
        "type": "number",
        "minimum": control.low,
        "maximum": control.high,
        "default": control.default,
        "description": control.description + unit,
    }
