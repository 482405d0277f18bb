"""Answer requests to ``:apply``: find the picture, check the settings, wait for a turn, say what was done."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from pipelines.serve.answers import negotiate_types
from pipelines.serve.apply_request import ApplyRequest, read_apply_request
from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import RequestError
from pipelines.serve.inference import Restoration, check_part, check_pixels, measure_picture
from pipelines.serve.kept_pictures import KeptPictures
from pipelines.serve.metrics import Metrics
from pipelines.serve.queue import PictureQueue, Work, while_connected, within
from pipelines.serve.request_log import Record, record_of
from pipelines.serve.schemas import max_pixels
from tunable_models import OmegaError
from zoo import Picture, Predictor
from zoo.manifest import WEIGHTS

SUM_SLACK = 0.01 + 1e-9
"""How far from 1 shares may sum that were rounded for a form: a hundredth, and what floats add to it."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True)
class ApplyHandlers:
    """Makes the handlers of requests for a picture, which share a queue and the pictures that are kept."""

    config: ServeConfig
    queue: PictureQueue
    kept: KeptPictures
    metrics: Metrics

    def make_handler(self, model: Predictor) -> Handler:
        """The route of a model."""
        weights = next(record.sha256 for record in model.manifest.files if record.path == WEIGHTS)

        async def apply(request: Request) -> Response:
            """The restored picture; sliders that are not sent have their defaults.

            A picture alone is the body, with sliders and options in the query; or all are fields of a form.
            """
            record = record_of(request.scope)
            record.model = model.name
            asked = await within(self.config.request_timeout_s, read_apply_request(request))
            record.values = values = _complete_values(model, asked.values)
            accepted = negotiate_types(request.headers.get("accept", ""), asked.options.quality)
            picture, record.pixels = await self._find_picture(model, asked)
            restoration = Restoration(
                model, picture, values, asked.options, accepted, self.config.max_pixels, record
            )
            computing = self._compute(restoration, record)
            time_s = self.config.time_for(record.pixels)
            content, kind = await within(time_s, while_connected(request, computing))
            return Response(content, media_type=kind, headers=_make_headers(model, weights, values))

        return apply

    async def _find_picture(self, model: Predictor, asked: ApplyRequest) -> tuple[Picture | bytes, int]:
        """The picture of a request, and how many pixels of it are computed."""
        region = asked.options.region
        part = None if region is None or model.manifest.input.radius_px is None else region[2] * region[3]
        limit = max_pixels(model, self.config)
        if isinstance(asked.image, str):
            try:
                picture = self.kept.get(asked.image)
            except RequestError:
                self.metrics.count_lookup(found=False)
                raise
            self.metrics.count_lookup(found=True)
            if region is not None:
                check_part(region, picture)
            pixels = part or picture.size[0] * picture.size[1]
            check_pixels(pixels, limit)
            return picture, pixels
        # All of it is decoded, and a part computed.
        decoded = self.config.max_pixels if part else limit
        pixels = await asyncio.to_thread(measure_picture, asked.image, decoded)
        check_pixels(part or pixels, limit)
        return asked.image, pixels

    async def _compute(self, restoration: Restoration, record: Record) -> tuple[bytes, str]:
        sent = time.perf_counter()

        def begin(work: Work) -> tuple[bytes, str]:
            record.add("queue", sent)
            return restoration(work)

        return await self.queue.run(record.pixels, begin)


def _complete_values(model: Predictor, values: Mapping[str, float]) -> dict[str, float]:
    """Check the given values and fill in the rest as the control space does."""
    try:
        values = _normalize_shares(model, values)
        return model.space.values(model.space.omega(values)) | dict(values)
    except OmegaError as error:
        raise RequestError(str(error), status=422, code="invalid_slider") from error


def _normalize_shares(model: Predictor, values: Mapping[str, float]) -> Mapping[str, float]:
    """Values whose shares sum to 1, where they are all given and rounding alone kept them from it."""
    controls = model.controls
    if model.space.kind != "simplex" or values.keys() != {control.name for control in controls}:
        return values
    shares = {control.name: control.to_unit(values[control.name]) for control in controls}
    total = sum(shares.values())
    if not 0 < abs(total - 1) <= SUM_SLACK:
        return values
    return {control.name: control.to_native(shares[control.name] / total) for control in controls}


def _make_headers(model: Predictor, weights: str, values: Mapping[str, float]) -> dict[str, str]:
    rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
    return {
        "Tunable-Model": model.name,
        "Tunable-Version": model.version,
        "Tunable-Weights": weights,
        "Tunable-Engine": model.engine,
        "Tunable-Values": json.dumps(rounded),
        "Vary": "Accept",
    }
