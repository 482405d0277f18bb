"""The FastAPI application over loaded models; independent of Ray."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from pipelines.serve.access import AccessControl, list_hosts
from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import RequestError, add_error_handlers
from pipelines.serve.inference import measure_picture, restore_picture
from pipelines.serve.queue import PictureQueue, Work
from pipelines.serve.schemas import (
    ModelInfo,
    ModelList,
    apply_responses,
    error_response,
    form_schema,
    max_pixels,
    model_info,
)
from pipelines.serve.upload import BodyLimit, read_upload
from tunable_models import OmegaError
from zoo import Predictor

PAGE = Path(__file__).parent / "page"
"""The static page at /docs, which loads nothing from other hosts."""

APPLY = ":apply"
"""Suffix of a model's URL: restore a picture with it."""

T = TypeVar("T")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def create_app(models: Mapping[str, Predictor], config: ServeConfig, token: str = "") -> FastAPI:
    """Build the app that serves each of ``models`` at ``/v1/models/{name}``.

    Requests share nothing but the models, which are thread-safe.

    Args:
        models: by name.
        config: limits, and who may send requests.
        token: that requests must carry; empty for none.
    """
    queue = PictureQueue(config.concurrency, config.max_queued_requests)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()

    app = FastAPI(
        title="Tunable image restoration",
        description="Send a picture and slider values, get the restored picture.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, max_bytes=config.max_body_bytes)
    app.add_middleware(AccessControl, hosts=list_hosts(config), origins=config.allowed_origins, token=token)
    add_error_handlers(app)
    _add_health_routes(app)
    _add_model_routes(app, models, config, queue)
    app.mount("/docs", StaticFiles(directory=PAGE, html=True), name="docs")
    return app


def _add_health_routes(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("docs/")

    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """Liveness."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> dict[str, str]:
        """Readiness: the app exists only once its models are loaded."""
        return {"status": "ready"}


def _add_model_routes(
    app: FastAPI, models: Mapping[str, Predictor], config: ServeConfig, queue: PictureQueue
) -> None:
    infos = {name: model_info(model, config) for name, model in models.items()}

    @app.get("/v1/models", tags=["models"])
    async def list_models() -> ModelList:
        """The served models, their sliders and their limits."""
        return ModelList(models=list(infos.values()))

    # A route per model, so that the schema can list each model's own sliders.
    for name, model in models.items():
        app.add_api_route(
            f"/v1/models/{name}{APPLY}",
            _make_apply_handler(model, config, queue),
            methods=["POST"],
            tags=["models"],
            name=f"apply_{name}",
            summary=f"Restore a picture with {name}",
            response_class=Response,
            responses=apply_responses(),
            openapi_extra={"requestBody": form_schema(model)},
        )

    @app.post(f"/v1/models/{{name}}{APPLY}", include_in_schema=False)
    async def apply_unknown(name: str) -> None:
        raise _unknown_model(name, infos)

    @app.get("/v1/models/{name}", tags=["models"], responses={404: error_response(404)})
    async def show_model(name: str) -> ModelInfo:
        """One model."""
        if name.endswith(APPLY) and name.removesuffix(APPLY) in infos:
            raise HTTPException(405, "Method Not Allowed", headers={"Allow": "POST"})
        if name not in infos:
            raise _unknown_model(name, infos)
        return infos[name]


def _make_apply_handler(model: Predictor, config: ServeConfig, queue: PictureQueue) -> Handler:
    limit = max_pixels(model, config)

    async def apply(request: Request) -> Response:
        """The restored picture as PNG; sliders that are not sent have their defaults."""
        upload = await _within(config.request_timeout_s, read_upload(request))
        values = _complete_values(model, upload.values)
        pixels = await asyncio.to_thread(measure_picture, upload.image, limit)

        def restore(work: Work) -> bytes:
            return restore_picture(model, upload.image, values, limit, work)

        png = await _within(config.time_for(pixels), _until_gone(request, queue.run(pixels, restore)))
        return Response(png, media_type="image/png", headers=_make_headers(model, values))

    return apply


async def _within(seconds: float, awaited: Awaitable[T]) -> T:
    """Wait for a result, and no longer.

    Raises:
        RequestError: 408, it took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            return await awaited
    except TimeoutError as error:
        message = f"the request took longer than {seconds:.3g} s; send a smaller picture"
        raise RequestError(message, status=408, code="timeout") from error


async def _until_gone(request: Request, awaited: Coroutine[Any, Any, T]) -> T:
    """Wait for a result as long as the client does.

    Raises:
        ClientDisconnect: it left; the work is cancelled.
    """
    work, gone = asyncio.create_task(awaited), asyncio.create_task(_wait_until_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            gone.result()  # what went wrong while it waited
            raise ClientDisconnect
        return work.result()
    finally:
        for task in (work, gone):
            task.cancel()


async def _wait_until_gone(request: Request) -> None:
    """Return when the client of a request, whose body has been read, closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _complete_values(model: Predictor, values: Mapping[str, float]) -> dict[str, float]:
    """Check the given values and fill in the rest as the control space does."""
    try:
        return model.space.values(model.space.omega(values)) | dict(values)
    except OmegaError as error:
        raise RequestError(str(error), status=422, code="invalid_slider") from error


def _make_headers(model: Predictor, values: Mapping[str, float]) -> dict[str, str]:
    rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
    return {
        "Tunable-Model": model.name,
        "Tunable-Version": model.version,
        "Tunable-Values": json.dumps(rounded),
    }


def _unknown_model(name: str, served: Mapping[str, object]) -> RequestError:
    message = f"unknown model {name[:80]!r}; this server has {', '.join(served)}"
    return RequestError(message, status=404, code="unknown_model")
