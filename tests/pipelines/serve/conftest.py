"""A tiny published model, the app over it, and a client without a socket."""

import asyncio
import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

import zoo
from pipelines.serve.app import create_app
from pipelines.serve.config import ServeConfig
from published import EDSR, publish_small
from tunable_models import Control, ControlSpace

SPACE = ControlSpace.box(
    Control(name="denoise", description="Removes noise."),
    Control(name="level", description="Noise to expect.", high=50.0, default=25.0, unit="sigma/255"),
)


class Client:
    """Requests to an app, each in an event loop of its own."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def get(self, path: str) -> httpx.Response:
        return self.together([{"method": "GET", "url": path}])[0]

    def post(self, path: str, **request: Any) -> httpx.Response:
        return self.together([{"method": "POST", "url": path, **request}])[0]

    def together(
        self, requests: list[dict[str, Any]], on_response: Callable[[httpx.Response], None] = lambda _: None
    ) -> list[httpx.Response]:
        """The answers to requests that are all sent at once; ``on_response`` sees each as it comes."""

        async def send(client: httpx.AsyncClient, request: dict[str, Any]) -> httpx.Response:
            response = await client.request(**request)
            on_response(response)
            return response

        async def send_all() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await asyncio.gather(*(send(client, request) for request in requests))

        return asyncio.run(send_all())


@pytest.fixture(scope="session")
def entry(tmp_path_factory: pytest.TempPathFactory) -> zoo.Entry:
    return publish_small(tmp_path_factory.mktemp("store"), SPACE, description="A network for tests.")


@pytest.fixture(scope="session")
def model(entry: zoo.Entry) -> zoo.Predictor:
    return zoo.load(str(entry.folder))


@pytest.fixture(scope="session")
def enlarging(tmp_path_factory: pytest.TempPathFactory) -> zoo.Predictor:
    """A model of another task: four times larger, two sliders that share a sum."""
    space = ControlSpace.simplex(
        Control(name="accuracy", default=1.0), Control(name="perception", default=0.0)
    )
    folder = tmp_path_factory.mktemp("enlarging")
    entry = publish_small(folder, space, {**EDSR, "scale": 4}, name="large", task="super-resolution")
    return zoo.load(str(entry.folder))


@pytest.fixture
def client_of() -> Callable[..., Client]:
    """A client of an app over the given models, by name."""
    return lambda **models: Client(create_app(models, ServeConfig()))


@pytest.fixture
def make_client(model: zoo.Predictor) -> Callable[..., Client]:
    def make(**options: Any) -> Client:
        return Client(create_app({"tiny": model}, ServeConfig(**options)))

    return make


@pytest.fixture
def make_app_client(model: zoo.Predictor) -> Callable[[str], Client]:
    """Makes a client of an app that asks for a token."""
    return lambda token: Client(create_app({"tiny": model}, ServeConfig(), token))


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client(max_body_bytes=2**20, max_pixels=10_000)


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A small picture with a gradient, as PNG."""
    picture = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    return to_png(picture)


def to_png(picture: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    return out.getvalue()
