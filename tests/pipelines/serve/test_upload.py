"""The body limit, without an app: endless bodies and false lengths."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from pipelines.serve.errors import RequestError
from pipelines.serve.upload import BodyLimit


def read_endless(headers: list[tuple[bytes, bytes]], max_bytes: int) -> int:
    """Number of bytes the app received before the limit stopped it."""
    seen = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal seen
        while True:
            seen += len((await receive())["body"])

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(100), "more_body": True}

    scope = {"type": "http", "headers": headers}
    with pytest.raises(RequestError) as caught:
        asyncio.run(BodyLimit(app, max_bytes=max_bytes)(scope, receive, None))
    assert caught.value.status == 413
    return seen


def test_endless_body_stops_at_the_limit() -> None:
    assert read_endless([], max_bytes=1000) == 1000


def test_declared_length_is_rejected_unread() -> None:
    assert read_endless([(b"content-length", b"1001")], max_bytes=1000) == 0


def test_false_length_makes_no_difference() -> None:
    assert read_endless([(b"content-length", b"5")], max_bytes=1000) == 1000


def test_body_at_the_limit_passes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert len((await receive())["body"]) == 100

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(100), "more_body": False}

    asyncio.run(BodyLimit(app, max_bytes=100)({"type": "http", "headers": []}, receive, None))
