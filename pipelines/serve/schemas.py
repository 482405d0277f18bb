"""Response bodies, and the parts of the OpenAPI schema that FastAPI cannot derive from them."""

from typing import Any, Literal

from pydantic import BaseModel

from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import ErrorBody
from pipelines.serve.upload import IMAGE_FIELD
from tunable_models import Control
from zoo import Predictor

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The form is malformed."},
    404: {"description": "No such model."},
    408: {"description": "The request took too long."},
    413: {"description": "Too many bytes or pixels."},
    415: {"description": "Not multipart/form-data."},
    422: {"description": "The picture is missing or broken, or a slider is unknown or out of range."},
    429: {"description": "Busy; retry after the seconds in Retry-After."},
    500: {"description": "Internal server error."},
}


class Slider(BaseModel):
    """One control, in native units."""

    name: str
    description: str
    low: float
    high: float
    default: float
    unit: str
    kind: str
    metric: str


class Limits(BaseModel):
    """The largest request that is accepted."""

    max_body_bytes: int
    max_pixels: int
    request_timeout_s: float


class ModelInfo(BaseModel):
    """A served model.

    On a ``box`` the sliders are independent; on a ``simplex`` they sum to 1, and unset ones share what the
    others leave. The output is ``scale`` times as wide and high as the input. ``engine`` runs the network.
    """

    name: str
    version: str
    task: str
    description: str
    scale: int
    engine: Literal["onnx", "torch"]
    space: Literal["box", "simplex"]
    sliders: list[Slider]
    limits: Limits


class ModelList(BaseModel):
    """All served models."""

    models: list[ModelInfo]


def model_info(model: Predictor, config: ServeConfig) -> ModelInfo:
    """Describe one model and the limits on its requests."""
    return ModelInfo(
        name=model.name,
        version=model.version,
        task=model.manifest.task,
        description=model.manifest.description,
        scale=model.manifest.input.scale,
        engine=model.engine,
        space=model.space.kind,
        sliders=[Slider.model_validate(control, from_attributes=True) for control in model.controls],
        limits=Limits(
            max_body_bytes=config.max_body_bytes,
            max_pixels=max_pixels(model, config),
            request_timeout_s=config.request_timeout_s,
        ),
    )


def max_pixels(model: Predictor, config: ServeConfig) -> int:
    """The endpoint's pixel limit, lowered for models that need more memory a pixel."""
    return min(config.max_pixels, model.max_pixels)


def form_schema(model: Predictor) -> dict[str, Any]:
    """OpenAPI ``requestBody`` of the model's ``:apply``."""
    image = {"type": "string", "format": "binary", "description": "The picture: PNG, JPEG, WebP, TIFF, ..."}
    schema = {
        "type": "object",
        "required": [IMAGE_FIELD],
        "additionalProperties": False,
        "properties": {IMAGE_FIELD: image} | {c.name: _slider_schema(c) for c in model.controls},
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def apply_responses() -> dict[int | str, dict[str, Any]]:
    """OpenAPI ``responses`` of ``:apply``."""
    headers = {
        "Tunable-Model": {"description": "Name of the model.", "schema": {"type": "string"}},
        "Tunable-Version": {"description": "Version of the model.", "schema": {"type": "string"}},
        "Tunable-Values": {"description": "JSON: the value of every slider.", "schema": {"type": "string"}},
    }
    picture = {"schema": {"type": "string", "format": "binary"}}
    success = {"description": "The picture.", "content": {"image/png": picture}, "headers": headers}
    return {200: success} | {status: error_response(status) for status in _ERRORS}


def error_response(status: int | str) -> dict[str, Any]:
    """OpenAPI response of an error status."""
    return {"model": ErrorBody, **_ERRORS[status]}


def _slider_schema(control: Control) -> dict[str, Any]:
    unit = f" [{control.unit}]" if control.unit else ""
    return {
        "type": "number",
        "minimum": control.low,
        "maximum": control.high,
        "default": control.default,
        "description": control.description + unit,
    }
