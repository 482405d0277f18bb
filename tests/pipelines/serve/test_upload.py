"""The limit of bodies, without an app: endless and slow ones, false lengths, too many at once."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from pipelines.serve import upload
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

    scope = {"type": "http", "method": "POST", "headers": headers}
    with pytest.raises(RequestError) as caught:
        asyncio.run(BodyLimit(app, max_bytes=max_bytes, max_uploads=1)(scope, receive, None))
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

    asyncio.run(
        BodyLimit(app, max_bytes=100, max_uploads=1)(
            {"type": "http", "method": "POST", "headers": []}, receive, None
        )
    )


class Arriving:
    """A body whose parts come when told, through a limit."""

    def __init__(self, limit: BodyLimit) -> None:
        self.parts: asyncio.Queue[bytes] = asyncio.Queue()
        scope = {"type": "http", "method": "POST", "headers": []}
        self.task = asyncio.create_task(limit(scope, self._receive, None))

    async def _receive(self) -> Message:
        part = await self.parts.get()
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def send(self, part: bytes) -> None:
        """An empty one is the last."""
        self.parts.put_nowait(part)
        while not self.parts.empty():
            await asyncio.sleep(0)

    async def refusal(self) -> RequestError:
        with pytest.raises(RequestError) as refused:
            await self.task
        return refused.value


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass


def make_limit(max_uploads: int = 2) -> BodyLimit:
    return BodyLimit(read_all, max_bytes=10**9, max_uploads=max_uploads)


def test_a_body_that_does_not_come_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "BEGINNING_S", 0.01)

    async def wait() -> RequestError:
        arriving = Arriving(make_limit())
        await arriving.send(b"x")
        return await arriving.refusal()

    refused = asyncio.run(wait())
    assert (refused.status, refused.code) == (408, "upload_too_slow")


def test_the_slowest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "YOUNG_S", 0.0)

    async def fill() -> RequestError:
        limit = make_limit()
        fast, slow = Arriving(limit), Arriving(limit)
        await fast.send(bytes(1000))
        await slow.send(b"x")
        late = Arriving(limit)
        for each in (late, fast):
            await each.send(b"x")
            await each.send(b"")
            await each.task
        return await slow.refusal()

    refused = asyncio.run(fill())
    assert (refused.status, refused.code, refused.retry_after_s) == (503, "uploads_full", 5)


def test_one_that_has_just_begun_is_given_time() -> None:
    async def fill() -> RequestError:
        limit = make_limit(1)
        first, second = Arriving(limit), Arriving(limit)
        refused = await second.refusal()
        await first.send(b"")
        await first.task
        third = Arriving(limit)  # the first one is complete and takes no room
        await third.send(b"")
        await third.task
        return refused

    refused = asyncio.run(fill())
    assert (refused.status, refused.code) == (503, "uploads_full")


def test_what_was_refused_or_left_takes_no_room() -> None:
    async def fill() -> None:
        limit = make_limit(1)
        gone = Arriving(limit)
        await gone.send(b"x")
        gone.task.cancel()
        await asyncio.wait([gone.task])
        late = Arriving(limit)
        await late.send(b"")
        await late.task

    asyncio.run(fill())
