"""A stop refuses new pictures and finishes running ones; errors of Ray's proxy in the endpoint's form."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serve.app import create_app
from pipelines.serve.applications import AtPrefix
from pipelines.serve.config import ServeConfig
from pipelines.serve.lifecycle import Readiness
from pipelines.serve.proxy import list_private_middlewares, list_shared_middlewares

APPLY = "/v1/models/tiny:apply"


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


def ask(app: ASGIApp, method: str, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            return await client.request(method, path)

    return asyncio.run(send())


def code_of(response: httpx.Response) -> str:
    return str(response.json()["error"]["code"])


def test_a_running_picture_is_waited_for(readiness: Readiness) -> None:
    with readiness.admit() as accepted:
        assert accepted
        readiness.stop()
        assert not readiness.wait_until_idle(0)
    assert readiness.wait_until_idle(0)


def test_who_waits_is_woken_by_the_last_picture(readiness: Readiness) -> None:
    idle: list[bool] = []
    with readiness.admit():
        waiting = threading.Thread(target=lambda: idle.append(readiness.wait_until_idle(None)))
        waiting.start()
    waiting.join()
    assert idle == [True]


def test_no_picture_is_admitted_behind_a_stop(readiness: Readiness) -> None:
    assert not readiness.is_stopping
    readiness.stop()
    assert readiness.is_stopping
    with readiness.admit() as accepted:
        assert not accepted
        assert readiness.wait_until_idle(0)


def test_a_picture_that_fails_is_no_longer_running(readiness: Readiness) -> None:
    with pytest.raises(KeyError), readiness.admit():
        raise KeyError
    assert readiness.wait_until_idle(0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", APPLY, 503), ("GET", "/readyz", 503), ("GET", "/livez", 200), ("GET", "/v1/models", 200)],
)
def test_a_stopping_endpoint_refuses_pictures_and_is_not_ready(
    readiness: Readiness, method: str, path: str, status: int
) -> None:
    app = create_app({}, ServeConfig(), readiness=readiness)
    assert ask(app, method, path).status_code != 503
    readiness.stop()
    response = ask(app, method, path)
    assert response.status_code == status
    if status == 503:
        assert code_of(response) == "stopping"
        assert int(response.headers["retry-after"]) > 0
        assert response.json()["error"]["request_id"] == response.headers["x-request-id"]


def answer_as_ray(status: int, kind: str = "text/plain; charset=utf-8", **headers: str) -> ASGIApp:
    """A proxy that answers in one way."""
    sent = [(b"content-type", kind.encode())]
    sent += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return answer([{"type": "http.response.start", "status": status, "headers": sent}, body(b"Ray's words")])


def answer(messages: list[Message]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def body(content: bytes) -> Message:
    return {"type": "http.response.body", "body": content}


def wrap(app: ASGIApp, *, shared: bool = False) -> ASGIApp:
    [middleware] = list_shared_middlewares() if shared else list_private_middlewares()
    return middleware.cls(app, *middleware.args, **middleware.kwargs)


PNG: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"image/png"), (b"content-length", b"3")],
}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("messages", [[], [PNG]])
def test_a_replica_that_ends_with_a_request_leaves_503(messages: list[Message], shared: bool) -> None:
    response = ask(wrap(answer(messages), shared=shared), "POST", APPLY)
    assert response.status_code == 503
    assert code_of(response) == "unavailable"
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("status", "becomes", "code"),
    [(408, 408, "timeout"), (429, 429, "busy"), (503, 503, "unavailable"), (404, 503, "stopping")],
)
def test_errors_of_the_proxy_become_json(status: int, becomes: int, code: str) -> None:
    response = ask(wrap(answer_as_ray(status)), "POST", APPLY)
    assert response.status_code == becomes
    assert code_of(response) == code
    assert ("retry-after" in response.headers) == (becomes in (429, 503))
    assert "Ray" not in response.text


def test_the_proxys_own_delay_is_kept() -> None:
    response = ask(wrap(answer_as_ray(429, retry_after="7")), "POST", APPLY)
    assert response.headers["retry-after"] == "7"


def test_a_model_that_a_shared_cluster_does_not_serve_is_not_found() -> None:
    response = ask(wrap(answer_as_ray(404), shared=True), "POST", APPLY)
    assert response.status_code == 404
    assert code_of(response) == "not_found"


@pytest.mark.parametrize(
    "app",
    [
        answer([PNG, body(b"png")]),
        answer([PNG, {**body(b"p"), "more_body": True}, {**body(b""), "more_body": True}, body(b"ng")]),
    ],
)
def test_a_picture_passes(app: ASGIApp) -> None:
    response = ask(wrap(app), "POST", APPLY)
    assert response.status_code == 200
    assert response.content == b"png"


@pytest.mark.parametrize("status", [404, 429, 503])
def test_the_apps_own_errors_pass(status: int) -> None:
    response = ask(wrap(answer_as_ray(status, "application/json", retry_after="9")), "POST", APPLY)
    assert response.status_code == status
    assert response.text == "Ray's words"
    assert response.headers["retry-after"] == "9"


@pytest.mark.parametrize(
    ("path", "shared"), [("/-/healthz", False), ("/-/routes", True), ("/someones/app", True)]
)
def test_what_is_not_the_endpoints_is_left_alone(path: str, shared: bool) -> None:
    response = ask(wrap(answer_as_ray(503), shared=shared), "GET", path)
    assert response.text == "Ray's words"


@pytest.mark.parametrize(
    ("path", "inside"),
    [(APPLY, APPLY), (f"{APPLY}/docs/", "/docs/"), (f"{APPLY}/", "/"), (f"{APPLY}{APPLY}", APPLY)],
)
@pytest.mark.parametrize("proxy", ["", "/restore"])
def test_an_app_behind_a_prefix_sees_its_own_paths(path: str, inside: str, proxy: str) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["root_path"] + scope["path"])

    async def discard(message: Message) -> None:
        pass

    scope = {"type": "http", "path": proxy + path, "root_path": proxy + APPLY}
    asyncio.run(AtPrefix(app, prefix=APPLY)(scope, discard, discard))  # type: ignore[arg-type]
    assert seen == [inside]


def test_a_models_own_application_is_a_whole_endpoint(client_of: Callable[..., Any], model: Any) -> None:
    inner: FastAPI = client_of(tiny=model).app
    inner.add_middleware(AtPrefix, prefix=APPLY)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await inner({**scope, "root_path": APPLY}, receive, send)

    assert ask(app, "GET", f"{APPLY}/readyz").status_code == 200
    assert ask(app, "GET", f"{APPLY}/docs/").status_code == 200
    assert ask(app, "GET", f"{APPLY}/docs").headers["location"] == "docs/"
    assert ask(app, "GET", f"{APPLY}/v1/models").json()["models"][0]["name"] == "tiny"
    assert code_of(ask(app, "POST", APPLY)) == "missing_image"  # the route is there, and wants a picture
