"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere.

    train  step 200/2200  loss 0.0341 (rmse 0.0341)  83 images/s  1.2 GB  0:24:05 left

Without a terminal the lines hold no control characters, so a log of them reads well.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Self, TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column
from rich.text import Text

T = TypeVar("T")

LINE_EVERY_S = 5.0
"""Between two lines where there is no terminal."""

LONGEST_S = 1000 * 86_400

MEMORY = "memory"
"""The fact that is shown by its value alone, after the rate."""


def tell(line: str, stream: TextIO | None = None) -> None:
    """Print a line at once; a closed reader (``| head``, ``| tee`` after Ctrl-C) is ignored.

    Args:
        line: without its end.
        stream: standard output by default.
    """
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError:
        # Lead the stream nowhere, or the rest of its buffer would raise again when the process ends.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def track_items(items: Sequence[T], label: str, unit: str = "photograph") -> Iterator[T]:
    """Yield the items and show how many are done.

    Args:
        items: nothing is shown if there are none.
        label: the words before the numbers.
        unit: name of an item, in the singular.
    """
    with Display(label, total=len(items), unit=unit, rated=f"{unit}s", quiet=not items) as display:
        for item in items:
            yield item
            display.advance()


class Display:
    """Shows the progress of one piece of work; any thread may update it.

    ``NO_COLOR`` is honored. Lines printed while a bar is shown appear above it.

    Args:
        label: the words before the numbers.
        total: units of the whole work; None if it has no fixed end.
        done: units that are done already, of a resumed run.
        unit: in the singular.
        rated: what the rate counts, in the plural.
        limit_s: seconds after which the work ends, whatever is done by then.
        quiet: show nothing but the lines of :meth:`say`.
        stream: standard output by default.

    Example::

        with Display("train", total=2200, done=200) as display:
            display.update(220, rate=83.1, facts={"loss": "0.0341", "rmse": "0.0341", "memory": "1.2 GB"})
    """

    def __init__(
        self,
        label: str,
        *,
        total: int | None,
        done: float = 0,
        unit: str = "step",
        rated: str = "images",
        limit_s: float | None = None,
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._label, self._total, self._unit, self._rated = label, total, unit, rated
        self._first = self._done = done
        self._numbers = list[str]()
        self._limit_s, self._quiet, self._stream = limit_s, quiet, stream
        self._bar: Progress | None = None
        # Reentrant, so that a signal handler may print a line at any moment.
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        stream = self._stream or sys.stdout
        self._started = self._shown = time.monotonic()
        if not self._quiet and _is_terminal(stream):
            self._bar = _make_bar(stream, self._label, self._total)
            count, done = self._count(), int(self._done)
            self._task = self._bar.add_task(
                self._label, total=self._total, completed=done, count=count, numbers="starting"
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._bar:
                self._bar.stop()
                self._bar = None
            if not self._quiet and self._done > self._first:
                self._print_line(f"{_format_seconds(time.monotonic() - self._started)} in all")

    def update(
        self,
        done: float,
        *,
        rate: float | None = None,
        left_s: float | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Report how much is done; cheap, as it is shown only now and then.

        Args:
            done: units so far, those of the beginning included; a bar shows fractions too.
            rate: in what is rated, a second.
            left_s: seconds to the end; by default from the mean speed so far and the limit.
            facts: texts by name: the first one, in brackets after it those that it is made of, and
                ``memory``, which is shown after the rate.
        """
        with self._lock:
            self._done, self._numbers = done, _join_facts(facts or {}, rate, self._rated)
            left_s = self._left_s() if left_s is None else left_s
            left = [] if left_s is None else [f"{_format_seconds(left_s)} left"]
            if self._bar:
                numbers = "  ".join(self._numbers + left)
                self._bar.update(self._task, completed=done, count=self._count(), numbers=numbers)
            elif not self._quiet and time.monotonic() - self._shown >= LINE_EVERY_S:
                self._shown = time.monotonic()
                self._print_line(*left)

    def advance(self, amount: float = 1) -> None:
        """Report that many more units, at the mean rate so far."""
        with self._lock:
            done = self._done + amount
            rate = (done - self._first) / max(time.monotonic() - self._started, 1e-6)
            self.update(done, rate=rate)

    def say(self, line: str) -> None:
        """Print a line that stays, above the bar if there is one."""
        with self._lock:
            if self._bar:
                self._bar.console.print(Text(line))
            else:
                tell(line, self._stream)

    def _print_line(self, *last: str) -> None:
        self.say("  ".join([self._label, f"{self._unit} {self._count()}", *self._numbers, *last]))

    def _count(self) -> str:
        return f"{int(self._done)}" if self._total is None else f"{int(self._done)}/{self._total}"

    def _left_s(self) -> float | None:
        elapsed_s, ends = time.monotonic() - self._started, list[float]()
        if self._total is not None:
            ends.append(elapsed_s / max(self._done - self._first, 1) * (self._total - self._done))
        if self._limit_s is not None:
            ends.append(self._limit_s - elapsed_s)
        return min(ends, default=None)


def _make_bar(stream: TextIO, label: str, total: int | None) -> Progress:
    longest = "" if total is None else f"{total}/{total}"
    return Progress(
        SpinnerColumn("line"),  # turns before anything is done; of characters that every terminal has
        TextColumn("{task.description}", markup=False, table_column=_fixed_column(label)),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
        TextColumn("{task.fields[count]}", markup=False, table_column=_fixed_column(longest)),
        TextColumn(
            "{task.fields[numbers]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
        ),
        console=Console(file=stream, force_terminal=True),
        transient=True,
        expand=True,
        redirect_stdout=sys.stdout.isatty(),  # what goes into a file must not appear on the terminal
        redirect_stderr=sys.stderr.isatty(),
    )


def _fixed_column(text: str) -> Column:
    return Column(no_wrap=True, min_width=len(text))


def _is_terminal(stream: TextIO) -> bool:
    # rich's own check takes a pipe for a terminal when FORCE_COLOR is set.
    return stream.isatty() and not Console(file=stream).is_dumb_terminal


def _join_facts(facts: Mapping[str, str], rate: float | None, rated: str) -> list[str]:
    """Facts, rate and memory, as far as they are known."""
    texts = [f"{name} {text}" for name, text in facts.items() if name != MEMORY]
    parts = [f"{texts[0]} ({', '.join(texts[1:])})" if texts[1:] else texts[0]] if texts else []
    if rate is not None:
        parts.append(f"{f'{rate:.0f}' if rate >= 10 else f'{rate:.2g}'} {rated}/s")
    return parts + ([facts[MEMORY]] if MEMORY in facts else [])


def _format_seconds(seconds: float) -> str:
    known = math.isfinite(seconds) and seconds < LONGEST_S
    return str(timedelta(seconds=max(0, round(seconds)))) if known else "?"
