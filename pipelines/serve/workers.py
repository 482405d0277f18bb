"""Where networks run: a few threads and a short queue, beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from pipelines.serve.faults import RequestError

P = ParamSpec("P")
R = TypeVar("R")

RETRY_AFTER_S = 2
"""What a client that was turned away is told to wait."""


class Workers:
    """``threads`` calls at a time, ``queue`` waiting, the next one refused at once.

    Ray Serve limits requests of any kind; this limits the work, so that health checks pass a full queue.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="restore")
        self._places = BoundedSemaphore(threads + queue)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, computed in a worker thread.

        A caller that is cancelled gives its place in the queue free; a call that runs keeps its place until
        it ends, since a thread cannot be stopped.

        Raises:
            RequestError: 429, every place is taken.
        """
        if not self._places.acquire(blocking=False):
            message = "the server is busy with as many pictures as it takes; try again in a moment"
            raise RequestError(message, status=429, code="busy", retry_after_s=RETRY_AFTER_S)
        future = self._pool.submit(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what waits; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
