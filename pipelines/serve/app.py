"""The FastAPI application over loaded models; independent of Ray."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from pipelines.serve.access import AccessControl, list_hosts
from pipelines.serve.apply_handlers import ApplyHandlers
from pipelines.serve.apply_request import read_digest
from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import RequestError, add_error_handlers
from pipelines.serve.inference import decode_picture, measure_picture
from pipelines.serve.kept_pictures import KeptPictures
from pipelines.serve.lifecycle import Readiness, RefuseWhileStopping
from pipelines.serve.metrics import Metrics
from pipelines.serve.queue import PictureQueue, within
from pipelines.serve.request_log import RequestLog
from pipelines.serve.schemas import (
    KeptPicture,
    ModelInfo,
    ModelList,
    apply_responses,
    apply_schema,
    error_response,
    model_info,
)
from pipelines.serve.upload import BodyLimit
from zoo import Predictor

PAGE = Path(__file__).parent / "page"
"""The static page at /docs, which loads nothing from other hosts."""

APPLY = ":apply"
"""Suffix of a model's URL: restore a picture with it."""


def create_app(
    models: Mapping[str, Predictor],
    config: ServeConfig,
    token: str = "",
    readiness: Readiness | None = None,
) -> FastAPI:
    """Build the app that serves each of ``models`` at ``/v1/models/{name}``.

    Requests share nothing but the models, which are thread-safe.

    Args:
        models: by name.
        config: limits, and who may send requests.
        token: that requests must carry; empty for none.
        readiness: says when it stops and refuses pictures; by default never.
    """
    queue = PictureQueue(config.concurrency, config.max_queued_requests)
    kept = KeptPictures(config.max_kept_bytes)
    metrics = Metrics()
    metrics.watch_kept(lambda: kept.used_bytes)
    for lane in queue.lanes:
        metrics.watch(lane.name, "waiting", lane.count_waiting)
        metrics.watch(lane.name, "running", lane.count_running)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()

    app = FastAPI(
        title="Tunable image restoration",
        description="Send a picture and slider values, get the restored picture.",
        # What a proxy, or Ray, takes from the front of a path is not known here, so that all addresses are
        # relative: that of the server to the schema's own, and of redirects FastAPI would make absolute ones.
        servers=[{"url": "."}],
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    # The last one sees a request first.
    app.add_middleware(BodyLimit, max_bytes=config.max_body_bytes, max_uploads=config.max_uploads)
    app.add_middleware(AccessControl, hosts=list_hosts(config), origins=config.allowed_origins, token=token)
    app.add_middleware(RefuseWhileStopping, readiness=readiness or Readiness())
    app.add_middleware(RequestLog, form=config.access_log, metrics=metrics)
    add_error_handlers(app)
    _add_probes(app, metrics)
    _add_picture_routes(app, config, queue, kept)
    _add_model_routes(app, models, ApplyHandlers(config, queue, kept, metrics))
    app.mount("/docs", _Page(directory=PAGE, html=True), name="docs")
    return app


class _Page(StaticFiles):
    """Static files that browsers ask for again each time, so that none is of an earlier version."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """See the base class."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _add_probes(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def open_page() -> RedirectResponse:
        return RedirectResponse("docs/")

    @app.head("/livez", include_in_schema=False)
    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """Liveness."""
        return {"status": "alive"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["health"])
    async def readyz() -> dict[str, str]:
        """Readiness: the app exists only once its models are loaded."""
        return {"status": "ready"}

    @app.get("/metrics", tags=["health"], response_class=Response)
    async def show_metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")


def _add_picture_routes(app: FastAPI, config: ServeConfig, queue: PictureQueue, kept: KeptPictures) -> None:
    errors: dict[int | str, dict[str, Any]] = {
        status: error_response(status) for status in (408, 413, 422, 429)
    }
    body = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}

    @app.put(
        "/v1/images/{digest}",
        tags=["pictures"],
        responses={201: {"model": KeptPicture}, **errors},
        openapi_extra={"requestBody": {"required": True, **body}},
    )
    async def keep_picture(digest: str, request: Request, response: Response) -> KeptPicture:
        """Send a picture once, to restore it at many settings: ``image=`` its SHA-256."""
        digest = read_digest(digest)
        content = await within(config.request_timeout_s, request.body())
        got = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        if got != digest:
            raise RequestError(
                f"expected a body with the SHA-256 {digest}, got one with {got}",
                status=422,
                code="invalid_digest",
            )
        picture = kept.find(digest)
        if picture is None:
            pixels = await asyncio.to_thread(measure_picture, content, config.max_pixels)
            decoding = queue.run(pixels, lambda _: decode_picture(content, config.max_pixels))
            picture = await within(config.time_for(pixels), decoding)
            kept.keep(digest, picture)
            response.status_code = 201
        return KeptPicture.of(digest, picture)

    @app.head("/v1/images/{digest}", include_in_schema=False)
    @app.get("/v1/images/{digest}", tags=["pictures"], responses={410: error_response(410)})
    async def show_picture(digest: str) -> KeptPicture:
        """Whether a picture is kept."""
        return KeptPicture.of(digest, kept.get(read_digest(digest)))


def _add_model_routes(app: FastAPI, models: Mapping[str, Predictor], handlers: ApplyHandlers) -> None:
    infos = {name: model_info(model, handlers.config) for name, model in models.items()}

    @app.get("/v1/models", tags=["models"])
    async def list_models() -> ModelList:
        """The served models, their sliders and their limits."""
        return ModelList(models=list(infos.values()))

    # A route per model, so that the schema can list each model's own sliders.
    for name, model in models.items():
        app.add_api_route(
            f"/v1/models/{name}{APPLY}",
            handlers.make_handler(model),
            methods=["POST"],
            tags=["models"],
            name=f"apply_{name}",
            summary=f"Restore a picture with {name}",
            response_class=Response,
            responses=apply_responses(),
            openapi_extra=apply_schema(model),
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


def _unknown_model(name: str, served: Mapping[str, object]) -> RequestError:
    message = f"unknown model {name[:80]!r}; this server has {', '.join(served)}"
    return RequestError(message, status=404, code="unknown_model")
