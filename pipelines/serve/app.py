"""The HTTP application: models in, FastAPI out. It knows nothing of Ray."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from pipelines.serve import faults
from pipelines.serve.body_limit import BodyLimit
from pipelines.serve.cards import Card, Cards, card, max_pixels
from pipelines.serve.config import ServeConfig
from pipelines.serve.faults import RequestError
from pipelines.serve.openapi import form_schema, refusal, responses
from pipelines.serve.restore import restore
from pipelines.serve.upload import read_upload
from pipelines.serve.workers import Workers
from tunable_models import OmegaError
from zoo import Predictor

PAGE = Path(__file__).parent / "page"
"""The page at /docs: static, without a script or style from elsewhere."""

APPLY = ":apply"
"""After a model's name in an address: the method that restores a picture with it."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def create_app(models: Mapping[str, Predictor], config: ServeConfig) -> FastAPI:
    """The endpoint over ``models``, each at ``/v1/models/{name}``.

    Nothing is shared between requests but the models, which are thread-safe.
    """
    workers = Workers(config.concurrency, config.max_queued_requests)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        workers.close()

    app = FastAPI(
        title="Tunable image restoration",
        description="Send a picture and slider values, get the restored picture.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, max_bytes=config.max_body_bytes)
    faults.install(app)
    _add_health(app)
    _add_models(app, models, config, workers)
    app.mount("/docs", StaticFiles(directory=PAGE, html=True), name="docs")
    return app


def _add_health(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("docs/")

    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> dict[str, str]:
        """The models are loaded: an app exists only once they are."""
        return {"status": "ready"}


def _add_models(app: FastAPI, models: Mapping[str, Predictor], config: ServeConfig, workers: Workers) -> None:
    cards = {name: card(model, config) for name, model in models.items()}

    @app.get("/v1/models", tags=["models"])
    async def list_models() -> Cards:
        """The served models, their sliders and their limits."""
        return Cards(models=list(cards.values()))

    # One route a model, so that the schema can state each model's own sliders.
    for name, model in models.items():
        app.add_api_route(
            f"/v1/models/{name}{APPLY}",
            _apply_handler(model, config, workers),
            methods=["POST"],
            tags=["models"],
            name=f"apply_{name}",
            summary=f"Restore a picture with {name}",
            response_class=Response,
            responses=responses(),
            openapi_extra={"requestBody": form_schema(model)},
        )

    @app.post(f"/v1/models/{{name}}{APPLY}", include_in_schema=False)
    async def apply_unknown(name: str) -> None:
        raise _unknown_model(name, cards)

    @app.get("/v1/models/{name}", tags=["models"], responses={404: refusal(404)})
    async def show_model(name: str) -> Card:
        """One model."""
        if name.endswith(APPLY) and name.removesuffix(APPLY) in cards:
            raise HTTPException(405, "Method Not Allowed", headers={"Allow": "POST"})
        if name not in cards:
            raise _unknown_model(name, cards)
        return cards[name]


def _apply_handler(model: Predictor, config: ServeConfig, workers: Workers) -> Handler:
    async def apply(request: Request) -> Response:
        """The restored picture as PNG; sliders that are not sent stand at their defaults."""
        try:
            async with asyncio.timeout(config.request_timeout_s):
                upload = await read_upload(request)
                values = _settle(model, upload.values)
                png = await workers.run(restore, model, upload.image, values, max_pixels(model, config))
        except TimeoutError as error:
            message = f"the request took longer than {config.request_timeout_s:g} s; send a smaller picture"
            raise RequestError(message, status=408, code="timeout") from error
        return Response(png, media_type="image/png", headers=_headers(model, values))

    return apply


def _settle(model: Predictor, values: Mapping[str, float]) -> dict[str, float]:
    """Every slider's value: those given, checked, and what the space makes of the rest."""
    try:
        return model.space.values(model.space.omega(values)) | dict(values)
    except OmegaError as error:
        raise RequestError(str(error), status=422, code="invalid_slider") from error


def _headers(model: Predictor, values: Mapping[str, float]) -> dict[str, str]:
    rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
    return {
        "Tunable-Model": model.name,
        "Tunable-Version": model.version,
        "Tunable-Values": json.dumps(rounded),
    }


def _unknown_model(name: str, served: Mapping[str, object]) -> RequestError:
    message = f"no model {name[:80]!r} is served here; there is {', '.join(served)}"
    return RequestError(message, status=404, code="unknown_model")
