"""Response bodies, and the parts of the OpenAPI schema that FastAPI cannot derive from them."""

from typing import Any, Literal

from pydantic import BaseModel

from pipelines.serve.answers import FORMATS
from pipelines.serve.apply_request import IMAGE_FIELD, MULTIPART, RAW, URLENCODED
from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import ErrorBody
from tunable_models import Control
from zoo import Picture, Predictor

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The form is malformed."},
    401: {"description": "The token is missing or wrong."},
    403: {"description": "The endpoint does not answer to this name, or to pages of this site."},
    404: {"description": "No such model."},
    406: {"description": "No format that Accept allows, or none that holds this picture."},
    408: {"description": "The request took too long, or came too slowly."},
    410: {"description": "The picture of this SHA-256 is not kept, or not any more: send it again."},
    413: {"description": "Too many bytes or pixels."},
    415: {"description": "Neither a form nor a picture."},
    422: {"description": "The picture is missing or broken, or a slider is unknown or out of range."},
    429: {"description": "Busy; retry after the seconds in Retry-After."},
    500: {"description": "Internal server error."},
    503: {"description": "Stopping, or too many uploads; retry after the seconds in Retry-After."},
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
    timeout_per_megapixel_s: float
    max_kept_bytes: int


class KeptPicture(BaseModel):
    """A picture that was sent once: the size of it upright, and its kind, such as ``8-bit RGB``."""

    sha256: str
    width: int
    height: int
    kind: str

    @classmethod
    def of(cls, digest: str, picture: Picture) -> "KeptPicture":
        """Describe a picture."""
        width, height = picture.size
        return cls(sha256=digest, width=width, height=height, kind=str(picture.kind))


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
            timeout_per_megapixel_s=config.timeout_per_megapixel_s,
            max_kept_bytes=config.max_kept_bytes,
        ),
    )


def max_pixels(model: Predictor, config: ServeConfig) -> int:
    """The endpoint's pixel limit, lowered for models that need more memory a pixel."""
    return min(config.max_pixels, model.max_pixels)


_OPTIONS: dict[str, dict[str, Any]] = {
    "region": {
        "type": "string",
        "pattern": r"^\d+,\d+,\d+,\d+$",
        "description": "left,top,width,height: the wanted part of the picture, in pixels of it upright.",
    },
    "max_side": {
        "type": "integer",
        "minimum": 1,
        "description": "Longest side of the answer in pixels; a larger one is reduced.",
    },
    "quality": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "description": "Of image/jpeg and image/webp; WebP is lossless without it.",
    },
    "metadata": {
        "type": "string",
        "enum": ["keep", "none"],
        "description": "Whether EXIF, XMP, IPTC and resolution stay, and the settings are noted.",
    },
}


def apply_schema(model: Predictor) -> dict[str, Any]:
    """OpenAPI ``requestBody`` and ``parameters`` of the model's ``:apply``."""
    binary = {"type": "string", "format": "binary", "description": "The picture: PNG, JPEG, WebP, TIFF, ..."}
    digest = {"type": "string", "description": "The SHA-256 of a picture that was sent by PUT /v1/images."}
    is_simplex = model.space.kind == "simplex"
    # Generated clients send defaults: on a simplex they would break the sum that another slider leaves,
    # and in the query they would come beside a form.
    fields = {control.name: _slider_schema(control, has_default=not is_simplex) for control in model.controls}
    query = {control.name: _slider_schema(control, has_default=False) for control in model.controls}
    form = {"type": "object", "required": [IMAGE_FIELD], "additionalProperties": False}
    if is_simplex:
        form["description"] = "The sliders sum to 1; those that are not sent share what the others leave."
    bodies = {
        MULTIPART: {**form, "properties": {IMAGE_FIELD: binary} | fields | _OPTIONS},
        URLENCODED: {**form, "properties": {IMAGE_FIELD: digest} | fields | _OPTIONS},
        RAW[0]: binary,
    }
    beside = "Beside a body that is a picture alone."
    return {
        "requestBody": {"content": {kind: {"schema": schema} for kind, schema in bodies.items()}},
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema, "description": beside}
            for name, schema in ({IMAGE_FIELD: digest} | query | _OPTIONS).items()
        ],
    }


def apply_responses() -> dict[int | str, dict[str, Any]]:
    """OpenAPI ``responses`` of ``:apply``."""
    described = {
        "Tunable-Model": "Name of the model.",
        "Tunable-Version": "Version of the model.",
        "Tunable-Weights": "SHA-256 of its weights.",
        "Tunable-Engine": "What computed: onnx or torch.",
        "Tunable-Values": "JSON: the value of every slider.",
        "Server-Timing": "Milliseconds of each part: queue, decode, network, encode.",
        "X-Request-Id": "The id of the request in the server's log; its own, if it had one.",
    }
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()}
    picture = {"schema": {"type": "string", "format": "binary"}}
    content = {kind: picture for kind in FORMATS}
    success = {"description": "The picture.", "content": content, "headers": headers}
    return {200: success} | {status: error_response(status) for status in _ERRORS}


def error_response(status: int | str) -> dict[str, Any]:
    """OpenAPI response of an error status."""
    return {"model": ErrorBody, **_ERRORS[status]}


def _slider_schema(control: Control, has_default: bool) -> dict[str, Any]:
    unit = f" [{control.unit}]" if control.unit else ""
    default = {"default": control.default} if has_default else {}
    return {
        "type": "number",
        "minimum": control.low,
        "maximum": control.high,
        **default,
        "description": control.description + unit,
    }
