"""The queue of pictures: places and their release, lanes, early ends, the estimate of a wait."""

import asyncio
import gc
import itertools
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event

import pytest

from pipelines.serve import queue as queue_module
from pipelines.serve.errors import RequestError
from pipelines.serve.queue import LEAST_PX, LONGEST_WAIT_S, SMALL_PX, Abandoned, PictureQueue, Work

LARGE_PX = SMALL_PX + 1


class Held:
    """A call that runs until it is released, or abandoned."""

    def __init__(self) -> None:
        self.begun, self.release, self.ended = Event(), Event(), Event()

    def __call__(self, work: Work) -> bool:
        self.begun.set()
        try:
            while not self.release.wait(0.005):
                work.check()
            return True
        finally:
            self.ended.set()


class Deaf(Held):
    """A call that runs until it is released, as a tile does."""

    def __call__(self, work: Work) -> bool:
        self.begun.set()
        return self.release.wait()


@pytest.fixture
def make_call() -> Iterator[Callable[[type[Held]], Held]]:
    made: list[Held] = []

    def make(kind: type[Held] = Held) -> Held:
        made.append(kind())
        return made[-1]

    yield make
    for held in made:
        held.release.set()


def power(exponent: int) -> Callable[[Work], int]:
    return lambda _: 2**exponent


async def wait_for(event: Event) -> None:
    while not event.is_set():
        await asyncio.sleep(0.01)


def test_results_and_exceptions_are_passed_on() -> None:
    queue = PictureQueue(1, 0)
    assert asyncio.run(queue.run(1, power(5))) == 32
    with pytest.raises(ZeroDivisionError):
        asyncio.run(queue.run(1, lambda _: divmod(1, 0)))
    assert asyncio.run(queue.run(1, power(6))) == 64
    queue.close()


def test_a_cancelled_waiter_frees_its_place(make_call: Callable[..., Held]) -> None:
    queue, held = PictureQueue(1, 1), make_call()

    async def scenario() -> None:
        running = asyncio.create_task(queue.run(1, held))
        waiting = asyncio.create_task(queue.run(1, power(2)))
        await wait_for(held.begun)
        with pytest.raises(RequestError) as caught:
            await queue.run(1, power(3))
        assert caught.value.status == 429
        waiting.cancel()
        await asyncio.wait([waiting])
        again = asyncio.create_task(queue.run(1, power(4)))
        await asyncio.sleep(0)  # it takes its place while the other call still runs
        held.release.set()
        assert await asyncio.gather(running, again) == [True, 16]

    asyncio.run(scenario())
    queue.close()


def test_a_call_that_was_given_up_keeps_its_place_until_it_ends(make_call: Callable[..., Held]) -> None:
    queue, held = PictureQueue(1, 0), make_call(Deaf)

    async def run_when_free() -> float:
        while True:
            try:
                return await queue.run(1, power(2))
            except RequestError:  # the thread's call has not returned yet
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        running = asyncio.create_task(queue.run(1, held))
        await wait_for(held.begun)
        running.cancel()
        await asyncio.wait([running])
        with pytest.raises(RequestError):
            await queue.run(1, power(2))
        held.release.set()
        assert await run_when_free() == 4

    asyncio.run(scenario())
    queue.close()


def test_a_call_that_was_given_up_ends_at_its_next_check(make_call: Callable[..., Held]) -> None:
    queue, held = PictureQueue(1, 1), make_call()

    async def scenario() -> None:
        running = asyncio.create_task(queue.run(1, held))
        await wait_for(held.begun)
        next_one = asyncio.create_task(queue.run(1, power(3)))
        running.cancel()
        assert await next_one == 8  # nobody released the first
        assert held.ended.is_set()

    asyncio.run(scenario())
    queue.close()
    work = Work(power(1))
    work.check()
    assert work() == 2
    work.abandon()
    for call in (work.check, work):
        with pytest.raises(Abandoned):
            call()


def test_small_pictures_pass_large_ones(make_call: Callable[..., Held]) -> None:
    queue, held = PictureQueue(1, 1), make_call()

    async def scenario() -> None:
        large = [asyncio.create_task(queue.run(LARGE_PX, call)) for call in (held, power(1))]
        await wait_for(held.begun)
        with pytest.raises(RequestError):
            await queue.run(LARGE_PX, power(2))
        assert await queue.run(SMALL_PX, power(3)) == 8
        held.release.set()
        assert await asyncio.gather(*large) == [True, 2]

    asyncio.run(scenario())
    queue.close()


@pytest.mark.parametrize(
    ("waiting", "seconds_each", "expected"),
    [(1, 3.0, 3), (3, 10.0, 10), (1, 1e-9, 1), (1, 1e9, LONGEST_WAIT_S)],
)
def test_the_wait_is_estimated_from_what_is_there(
    waiting: int,
    seconds_each: float,
    expected: int,
    make_call: Callable[..., Held],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_module, "ASSUMED_S_PER_PX", seconds_each / LARGE_PX)
    queue, held = PictureQueue(1, waiting), make_call()

    async def scenario() -> None:
        tasks = [asyncio.create_task(queue.run(LARGE_PX, held)) for _ in range(1 + waiting)]
        await wait_for(held.begun)
        with pytest.raises(RequestError, match=f"try again in {expected} s") as caught:
            await queue.run(LARGE_PX, held)
        assert caught.value.retry_after_s == expected
        held.release.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    queue.close()


@pytest.mark.parametrize("pixels", [1, 10**6])
def test_what_was_measured_counts(pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    times = itertools.cycle([0.0, 100.0])
    monkeypatch.setattr(queue_module, "monotonic", lambda: next(times))
    queue = PictureQueue(1, 0)
    for _ in range(30):
        asyncio.run(queue.run(pixels, power(1)))
    counted = max(pixels, LEAST_PX)  # a tiny picture is not so many times as slow
    lane = queue._small if pixels <= SMALL_PX else queue._large
    assert lane._s_per_px == pytest.approx(100 / counted, rel=0.01)
    queue.close()


def test_what_nobody_waits_for_is_let_go_of(make_call: Callable[..., Held]) -> None:
    """A thread pool keeps what was cancelled until a thread comes to it; the picture is not part of that."""
    queue, held = PictureQueue(1, 1), make_call()

    class Picture:
        pass

    async def scenario() -> list[weakref.ref[Picture]]:
        running = asyncio.create_task(queue.run(1, held))
        await wait_for(held.begun)
        seen = []
        for _ in range(5):
            picture = Picture()
            seen.append(weakref.ref(picture))
            waiting = asyncio.create_task(queue.run(1, partial(hold_picture, picture)))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            del picture, waiting
        gc.collect()
        kept = [reference for reference in seen if reference() is not None]
        held.release.set()
        await running
        return kept

    assert asyncio.run(scenario()) == []
    queue.close()


def hold_picture(_: object, work: Work) -> None:
    pytest.fail("nobody waited for this")
