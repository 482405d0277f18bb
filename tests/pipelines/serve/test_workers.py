"""Places and their return."""

import asyncio
from collections.abc import Iterator
from threading import Event

import pytest

from pipelines.serve.faults import RequestError
from pipelines.serve.workers import Workers


class Held:
    """A call that ends when it is let go."""

    def __init__(self) -> None:
        self.begun, self.release = Event(), Event()

    def __call__(self) -> bool:
        self.begun.set()
        return self.release.wait()


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.release.set()


async def wait_for(event: Event) -> None:
    while not event.is_set():
        await asyncio.sleep(0.01)


def test_result_and_error_come_back() -> None:
    workers = Workers(1, 0)
    assert asyncio.run(workers.run(pow, 2, 5)) == 32
    with pytest.raises(ZeroDivisionError):
        asyncio.run(workers.run(divmod, 1, 0))
    assert asyncio.run(workers.run(pow, 2, 6)) == 64
    workers.close()


def test_cancelled_waiter_gives_its_place_free(held: Held) -> None:
    workers = Workers(1, 1)

    async def scenario() -> None:
        running = asyncio.create_task(workers.run(held))
        waiting = asyncio.create_task(workers.run(pow, 2, 2))
        await wait_for(held.begun)
        with pytest.raises(RequestError) as caught:
            await workers.run(pow, 2, 3)
        assert caught.value.status == 429
        waiting.cancel()
        await asyncio.wait([waiting])
        again = asyncio.create_task(workers.run(pow, 2, 4))
        await asyncio.sleep(0)  # it takes its place while the other call still runs
        held.release.set()
        assert await asyncio.gather(running, again) == [True, 16]

    asyncio.run(scenario())
    workers.close()


def test_cancelled_caller_keeps_a_running_place(held: Held) -> None:
    workers = Workers(1, 0)

    async def run_once_free() -> float:
        while True:
            try:
                return await workers.run(pow, 2, 2)
            except RequestError:  # the thread has not ended its call yet
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        running = asyncio.create_task(workers.run(held))
        await wait_for(held.begun)
        running.cancel()
        await asyncio.wait([running])
        with pytest.raises(RequestError):
            await workers.run(pow, 2, 2)
        held.release.set()
        assert await run_once_free() == 4

    asyncio.run(scenario())
    workers.close()
