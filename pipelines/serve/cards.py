"""What a client can know of a served model."""

from typing import Literal

from pydantic import BaseModel

from pipelines.serve.config import ServeConfig
from zoo import Predictor


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
    """What a request may cost."""

    max_body_bytes: int
    max_pixels: int
    request_timeout_s: float


class Card(BaseModel):
    """A served model.

    On a ``box`` the sliders are independent; on a ``simplex`` they sum to 1, and those left unset share
    what the others leave. Sides of the output are ``scale`` times those of the picture that was sent.
    ``engine`` is what computes.
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


class Cards(BaseModel):
    """All served models."""

    models: list[Card]


def max_pixels(model: Predictor, config: ServeConfig) -> int:
    """The largest picture that is taken: what the endpoint allows, less if the model needs more memory."""
    return min(config.max_pixels, model.max_pixels)


def card(model: Predictor, config: ServeConfig) -> Card:
    """The card of one model."""
    return Card(
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
