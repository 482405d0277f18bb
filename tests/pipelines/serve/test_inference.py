"""The bounded thread pool: slots and their release."""

import asyncio
from collections.abc import Iterator
from threading import Event

import pytest

from pipelines.serve.errors import RequestError
from pipelines.serve.inference import WorkerPool


class Held:
    """A call that blocks until it is released."""

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


def test_results_and_exceptions_are_passed_on() -> None:
    pool = WorkerPool(1, 0)
    assert asyncio.run(pool.run(pow, 2, 5)) == 32
    with pytest.raises(ZeroDivisionError):
        asyncio.run(pool.run(divmod, 1, 0))
    assert asyncio.run(pool.run(pow, 2, 6)) == 64
    pool.close()


def test_cancelled_waiter_frees_its_slot(held: Held) -> None:
    pool = WorkerPool(1, 1)

    async def scenario() -> None:
        running = asyncio.create_task(pool.run(held))
        waiting = asyncio.create_task(pool.run(pow, 2, 2))
        await wait_for(held.begun)
        with pytest.raises(RequestError) as caught:
            await pool.run(pow, 2, 3)
        assert caught.value.status == 429
        waiting.cancel()
        await asyncio.wait([waiting])
        again = asyncio.create_task(pool.run(pow, 2, 4))
        await asyncio.sleep(0)  # it takes its slot while the other call still runs
        held.release.set()
        assert await asyncio.gather(running, again) == [True, 16]

    asyncio.run(scenario())
    pool.close()


def test_cancelled_caller_keeps_the_slot_of_a_running_call(held: Held) -> None:
    pool = WorkerPool(1, 0)

    async def run_when_free() -> float:
        while True:
            try:
                return await pool.run(pow, 2, 2)
            except RequestError:  # the thread's call has not returned yet
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        running = asyncio.create_task(pool.run(held))
        await wait_for(held.begun)
        running.cancel()
        await asyncio.wait([running])
        with pytest.raises(RequestError):
            await pool.run(pow, 2, 2)
        held.release.set()
        assert await run_when_free() == 4

    asyncio.run(scenario())
    pool.close()
