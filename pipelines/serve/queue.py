"""Pictures that wait and that are computed: two lanes, a bound, an estimate of the wait, and an early end.

Small pictures have a lane of their own, so that none waits behind a large one. What nobody waits for any
more, because the client left or the time is over, ends at the next tile.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from time import monotonic
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from pipelines.serve.errors import RequestError

R = TypeVar("R")

SMALL_PX = 512 * 512
"""Pixels of a picture that passes large ones: those of one tile."""

LANES = 2
"""Of small pictures, and of large ones."""

LEAST_PX = SMALL_PX // 4
"""What the tiniest picture counts as: most of its time is not that of its pixels."""

ASSUMED_S_PER_PX = 2e-6
"""Of a lane that has computed nothing yet."""

LONGEST_WAIT_S = 3600


class Abandoned(Exception):
    """Nobody waits for the result of this work any more."""


class Work:
    """A picture's place in the queue, which says when to stop.

    Args:
        function: what is to be done, let go of once nobody waits for it: it holds the picture, and the queue
            of a thread pool keeps what was cancelled until a thread comes to it.
    """

    def __init__(self, function: Callable[["Work"], Any]) -> None:
        self._function: Callable[[Work], Any] | None = function
        self._abandoned = Event()

    def __call__(self) -> Any:
        """Do it.

        Raises:
            Abandoned: nobody waits for the result any more.
        """
        function = self._function
        if function is None:
            raise Abandoned
        return function(self)

    def abandon(self) -> None:
        """Let the work end at its next check."""
        self._abandoned.set()
        self._function = None

    def check(self) -> None:
        """Go on, or end here; between two checks lies at most a tile, a decoding or an encoding.

        Raises:
            Abandoned: nobody waits for the result any more.
        """
        if self._abandoned.is_set():
            raise Abandoned


class PictureQueue:
    """Computes pictures in threads, as many at once in each lane, and refuses what is beyond the queue.

    Ray Serve limits requests of any kind; this limits pictures alone, so health checks pass a full queue.

    Args:
        threads: pictures at once in a lane.
        queue: pictures that may wait in a lane.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._small = _Lane("small", threads, queue)
        self._large = _Lane("large", threads, queue)

    async def run(self, pixels: int, function: Callable[[Work], R]) -> R:
        """Call a function in a thread, when its turn comes.

        A caller who is cancelled frees its place in the queue; a call that has started is told to end, and
        keeps its place until it does.

        Args:
            pixels: of the picture.
            function: calls :meth:`Work.check` now and then.

        Raises:
            RequestError: 429, with the seconds after which there should be a place.
        """
        lane = self._small if pixels <= SMALL_PX else self._large
        return await lane.run(pixels, function)

    @property
    def lanes(self) -> "tuple[_Lane, ...]":
        """What pictures wait in."""
        return self._small, self._large

    def close(self) -> None:
        """Cancel calls that wait; running ones finish."""
        self._small.close()
        self._large.close()


class _Lane:
    """Threads with a queue, and how fast they were."""

    def __init__(self, name: str, threads: int, queue: int) -> None:
        self.name = name
        self._places = threads + queue
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"{name}-pictures")
        self._lock = Lock()
        self._pending: dict[Work, int] = {}
        self._running = 0
        self._s_per_px = ASSUMED_S_PER_PX

    def count_running(self) -> int:
        """Pictures that are computed."""
        return self._running

    def count_waiting(self) -> int:
        """Pictures whose turn has not come."""
        return len(self._pending) - self._running

    async def run(self, pixels: int, function: Callable[[Work], R]) -> R:
        """See :meth:`PictureQueue.run`."""
        work, counted = Work(function), max(pixels, LEAST_PX)
        with self._lock:
            if len(self._pending) >= self._places:
                wait_s = self._estimate_wait()
                message = f"the server has as many pictures as it accepts; try again in {wait_s} s"
                raise RequestError(message, status=429, code="busy", retry_after_s=wait_s)
            self._pending[work] = counted
        future: Future[R] = self._pool.submit(self._call, work, counted)
        future.add_done_callback(lambda _: self._leave(work))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            work.abandon()
            raise

    def close(self) -> None:
        """See :meth:`PictureQueue.close`."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, work: Work, pixels: int) -> Any:
        begun = monotonic()
        with self._lock:
            self._running += 1
        try:
            result = work()
        finally:
            with self._lock:
                self._running -= 1
        with self._lock:
            # What is recent counts more: models and slider settings differ, and so does the load.
            self._s_per_px += 0.3 * ((monotonic() - begun) / pixels - self._s_per_px)
        return result

    def _leave(self, work: Work) -> None:
        with self._lock:
            del self._pending[work]

    def _estimate_wait(self) -> int:
        """Seconds until a place is free, from the pixels of all that is here: an average share of them."""
        share = sum(self._pending.values()) / self._places
        wait_s = math.ceil(share * self._s_per_px)
        return min(max(1, wait_s), LONGEST_WAIT_S)


async def within(seconds: float, awaited: Awaitable[R]) -> R:
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


async def while_connected(request: Request, awaited: Coroutine[Any, Any, R]) -> R:
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
