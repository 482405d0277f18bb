"""Run models on uploaded pictures, in a bounded thread pool beside the event loop."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from pipelines.serve.errors import RequestError
from zoo import ImageError, ImageTooLargeError, Predictor, read_picture
from zoo.pictures.formats import BY_NAME
from zoo.pictures.images import read_header

P = ParamSpec("P")
R = TypeVar("R")

RETRY_AFTER_S = 2
"""Retry-After of a request that found the queue full."""


def restore_picture(model: Predictor, image: bytes, values: Mapping[str, float], max_pixels: int) -> bytes:
    """Apply a model to an encoded picture.

    Returns:
        A PNG with the picture's color profile; floating-point input becomes 16 bits.

    Raises:
        RequestError: 413 too many pixels, 422 not a readable picture.
    """
    try:
        if (header := read_header(image)).pages > 1:
            raise ImageError(f"expected a single picture, got {header.count}; send them one by one")
        restored = model(read_picture(image, max_pixels=max_pixels), values)
    except ImageTooLargeError as error:
        message = f"expected a picture of at most {max_pixels:,} pixels, got more; make it smaller"
        raise RequestError(message, status=413, code="image_too_large") from error
    except ImageError as error:
        raise RequestError(str(error), status=422, code="bad_image") from error
    # Higher levels save a few percent of a photograph and take several times as long.
    return BY_NAME["PNG"].encode(restored, level=1)


class WorkerPool:
    """Runs ``threads`` calls at a time, queues ``queue`` more and rejects the rest at once.

    Ray Serve limits requests of any kind; this limits inference alone, so health checks pass a full queue.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self._slots = BoundedSemaphore(threads + queue)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``function`` in a worker thread.

        A cancelled caller frees its slot in the queue; a call that has started keeps its slot until it
        returns, since a thread cannot be stopped.

        Raises:
            RequestError: 429, every slot is taken.
        """
        if not self._slots.acquire(blocking=False):
            message = "the server is processing as many pictures as it accepts; try again in a moment"
            raise RequestError(message, status=429, code="busy", retry_after_s=RETRY_AFTER_S)
        future = self._pool.submit(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Cancel queued calls; running ones finish."""
        self._pool.shutdown(wait=False, cancel_futures=True)
