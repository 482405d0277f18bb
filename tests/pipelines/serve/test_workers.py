"""Places and their return."""

import asyncio
import threading

import pytest

from pipelines.serve.faults import RequestError
from pipelines.serve.workers import Workers


def test_result_and_error_come_back() -> None:
    workers = Workers(1, 0)
    assert asyncio.run(workers.run(pow, 2, 5)) == 32
    with pytest.raises(ZeroDivisionError):
        asyncio.run(workers.run(divmod, 1, 0))
    assert asyncio.run(workers.run(pow, 2, 6)) == 64
    workers.close()


def test_cancelled_waiter_gives_its_place_free() -> None:
    workers = Workers(1, 1)
    release = threading.Event()

    async def scenario() -> None:
        running = asyncio.create_task(workers.run(release.wait, 10))
        waiting = asyncio.create_task(workers.run(pow, 2, 2))
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError) as caught:
            await workers.run(pow, 2, 3)
        assert caught.value.status == 429
        waiting.cancel()
        await asyncio.sleep(0.05)
        again = asyncio.create_task(workers.run(pow, 2, 4))
        release.set()
        assert await asyncio.gather(running, again) == [True, 16]

    asyncio.run(scenario())
    workers.close()


def test_cancelled_caller_keeps_a_running_place() -> None:
    workers = Workers(1, 0)
    release = threading.Event()

    async def scenario() -> None:
        running = asyncio.create_task(workers.run(release.wait, 10))
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError):
            await workers.run(pow, 2, 2)
        release.set()
        await asyncio.sleep(0.05)
        assert await workers.run(pow, 2, 2) == 4

    asyncio.run(scenario())
    workers.close()
