"""How far a long loop is: one line renewed on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def progress(items: Sequence[T], label: str, every_s: float | None = None) -> Iterator[T]:
    """The items one by one; prints the count, the rate and the time left, and the total at the end.

    Args:
        items: what to go through.
        label: the words before the numbers.
        every_s: seconds between lines; by default 0.2 on a terminal and 5 elsewhere.
    """
    terminal = sys.stdout.isatty()
    pause_s = every_s if every_s is not None else (0.2 if terminal else 5.0)
    started = shown = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        last = done == len(items)
        if last or now - shown >= pause_s:
            shown = now
            line = _line(done, len(items), now - started)
            print(f"{label}: {line}", end="\r" if terminal and not last else "\n", flush=True)


def _line(done: int, total: int, elapsed_s: float) -> str:
    rate = done / max(elapsed_s, 1e-6)
    return f"{done}/{total} photographs, {rate:4.0f}/s, {(total - done) / rate:4.0f} s left"
