"""Fetching what will be needed, while something else is done."""

from collections.abc import Callable, Sequence
from threading import Thread


class Prefetcher:
    """Calls ``fetch`` for items in the background, one after the other.

    Args:
        fetch: brings an item; when it fails, whoever needs the item meets the error again.
    """

    def __init__(self, fetch: Callable[[int], None]) -> None:
        self._fetch = fetch
        self._asked: tuple[int, ...] = ()
        self._left: list[int] = []
        self._thread: Thread | None = None

    def __call__(self, items: Sequence[int]) -> None:
        """These from now on, instead of those asked for before; returns at once."""
        asked = tuple(items)
        if asked == self._asked:
            return
        before, self._asked = self._asked, asked
        # Assignments only, no lock: a lock that is held while a loader process forks stays shut there.
        self._left = [item for item in asked if item not in before or item in self._left]
        # A new thread each time: one that is about to end would not see the items.
        self._thread = Thread(target=self._run, args=(self._thread,), name="prefetch", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until nothing is left to fetch."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, before: Thread | None) -> None:
        if before is not None:
            before.join()
        while left := self._left:
            item = left.pop(0)
            try:
                self._fetch(item)
            except Exception:  # whatever it is, the items after it are still wanted
                continue
