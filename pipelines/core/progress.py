"""How far something is: a bar on a terminal, one plain line every few seconds elsewhere.

    train  step 200/2200  loss 0.0341 (rmse 0.0341)  83 images/s  1.2 GB  0:24:05 left

Without a terminal the lines hold no control characters, so that a log of them reads well.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self, TextIO, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

T = TypeVar("T")

LINE_EVERY_S = 5.0
"""Between two lines where there is no terminal."""

MEMORY = "memory"
"""The fact that stands by itself, behind the speed."""

LONGEST_S = 1000 * 86_400


def tell(line: str, stream: TextIO | None = None) -> None:
    """Print a line; that its reader is gone (``| head``, ``| tee`` after Ctrl-C) is no fault of the work.

    Args:
        line: without its end.
        stream: standard output by default.
    """
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except OSError:
        _hush(stream)


def _hush(stream: TextIO) -> None:
    """Lead the stream nowhere, so that what is left in its buffer does no harm when the process ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def progress(items: Sequence[T], label: str, unit: str = "photograph") -> Iterator[T]:
    """The items one by one, and how many there are left; a line with the total ends it.

    Args:
        items: what to go through; nothing is shown of none.
        label: the words before the numbers.
        unit: what an item is, in the singular.
    """
    with Display(label, total=len(items), unit=unit, rated=f"{unit}s", quiet=not items) as display:
        for item in items:
            yield item
            display.advance()


@dataclass(frozen=True)
class _State:
    """What is known of the work at one moment."""

    done: float
    rate: float | None = None
    left_s: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


class _Surface(Protocol):
    """Where a state is shown."""

    def show(self, state: _State) -> None: ...
    def say(self, line: str) -> None: ...
    def close(self) -> None: ...


class Display:
    """Shows one piece of work from its beginning to its end; any thread may update it.

    ``NO_COLOR`` is honoured. What is printed while a bar stands appears above it.

    Args:
        label: the words before the numbers.
        total: units of the whole work; None for work that has no end by itself.
        done: units that were there already, of a run that goes on.
        unit: in the singular.
        rated: what is counted a second, in the plural.
        limit_s: seconds from the beginning after which the work ends, whatever is done by then.
        quiet: show nothing but what :meth:`say` is given.
        stream: to show it on; standard output by default.

    Example::

        with Display("train", total=2200, done=200) as display:
            display.update(220, rate=83.1, facts={"loss": "0.0341", "rmse": "0.0341", "memory": "1.2 GB"})
    """

    def __init__(
        self,
        label: str,
        *,
        total: int | None,
        done: int = 0,
        unit: str = "step",
        rated: str = "images",
        limit_s: float | None = None,
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._words = _Words(label, total, unit, rated)
        self._first, self._state, self._quiet = done, _State(done), quiet
        self._stream, self._limit_s = stream, limit_s
        # Of the thread that holds it, so that a signal handler may say something at any moment.
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        stream = self._stream or sys.stdout
        self._started = time.monotonic()
        self._said = _Lines(stream, self._words)  # stays when a bar is gone
        barred = _is_terminal(stream) and not self._quiet
        self._surface: _Surface = _Bar(stream, self._words, self._first) if barred else self._said
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._surface.close()
            self._surface = self._said
            if not self._quiet and self._state.done > self._first:
                self._said.say(self._words.last(self._state, time.monotonic() - self._started))

    def update(
        self,
        done: float,
        *,
        rate: float | None = None,
        left_s: float | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Say how far it is; cheap, and shown when it is time to.

        Args:
            done: units so far, those of the beginning included; a bar shows parts of one too.
            rate: how many of what is rated a second.
            left_s: seconds to the end; by default from the mean speed so far and the limit.
            facts: texts by name: the first one, in brackets after it those that it is made of, and
                ``memory``, which stands behind the speed.
        """
        with self._lock:
            left_s = self._left_s(done) if left_s is None else left_s
            self._state = _State(done, rate, left_s, dict(facts or {}))
            if not self._quiet:
                self._surface.show(self._state)

    def advance(self) -> None:
        """One unit more, at the mean speed so far."""
        with self._lock:
            done = self._state.done + 1
            rate = (done - self._first) / max(time.monotonic() - self._started, 1e-6)
            self.update(done, rate=rate)

    def say(self, line: str) -> None:
        """Print a line that stays, above the bar if there is one."""
        with self._lock:
            self._surface.say(line)

    def _left_s(self, done: float) -> float | None:
        elapsed_s, total, ends = time.monotonic() - self._started, self._words.total, list[float]()
        if total is not None:
            ends.append(elapsed_s / max(done - self._first, 1) * (total - done))
        if self._limit_s is not None:
            ends.append(self._limit_s - elapsed_s)
        return min(ends, default=None)


@dataclass(frozen=True)
class _Words:
    """How a state reads."""

    label: str
    total: int | None
    unit: str
    rated: str

    def line(self, state: _State) -> str:
        """While it goes on."""
        return "  ".join([self._head(state), *self.numbers(state)])

    def last(self, state: _State, elapsed_s: float) -> str:
        """When it has ended, here or before its time."""
        parts = self.numbers(_State(state.done, state.rate, None, state.facts))
        return "  ".join([self._head(state), *parts, f"{_clock(elapsed_s)} in all"])

    def numbers(self, state: _State) -> list[str]:
        """Facts, speed, memory and the time left, as far as they are known."""
        names = [name for name in state.facts if name != MEMORY]
        texts = [f"{name} {state.facts[name]}" for name in names]
        inner = f" ({', '.join(texts[1:])})" if texts[1:] else ""
        parts = [f"{texts[0]}{inner}"] if texts else []
        parts += [f"{_number(state.rate)} {self.rated}/s"] if state.rate is not None else []
        parts += [state.facts[MEMORY]] if MEMORY in state.facts else []
        return parts + ([f"{_clock(state.left_s)} left"] if state.left_s is not None else [])

    def _head(self, state: _State) -> str:
        of = "" if self.total is None else f"/{self.total}"
        return f"{self.label}  {self.unit} {int(state.done)}{of}"


class _Lines:
    """A line now and then."""

    def __init__(self, stream: TextIO, words: _Words) -> None:
        self._stream, self._words = stream, words
        self._shown = time.monotonic()

    def show(self, state: _State) -> None:
        if time.monotonic() - self._shown >= LINE_EVERY_S:
            self._shown = time.monotonic()
            self.say(self._words.line(state))

    def say(self, line: str) -> None:
        tell(line, self._stream)

    def close(self) -> None:
        """Nothing is open."""


class _Bar:
    """A bar that is renewed in place, and gone when it is closed."""

    def __init__(self, stream: TextIO, words: _Words, done: int) -> None:
        self._words = words
        self._console = Console(file=stream, force_terminal=True)
        self._bar = Progress(
            SpinnerColumn("line"),  # turns though nothing is done yet; in characters that every terminal has
            TextColumn("{task.description}", markup=False, table_column=_never_cut(words.label)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            _count(words.total),
            TextColumn(
                "{task.fields[numbers]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=self._console,
            transient=True,
            expand=True,
            redirect_stdout=sys.stdout.isatty(),  # what goes into a file stays out of the terminal
            redirect_stderr=sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(words.label, total=words.total, completed=done, numbers="starting")
        self._bar.start()

    def show(self, state: _State) -> None:
        numbers = "  ".join(self._words.numbers(state))
        self._bar.update(self._task, completed=state.done, numbers=numbers)

    def say(self, line: str) -> None:
        self._console.print(Text(line))

    def close(self) -> None:
        self._bar.stop()


def _count(total: int | None) -> ProgressColumn:
    if total is None:  # rich would write 3/?
        return TextColumn("{task.completed}", table_column=_never_cut(""))
    return MofNCompleteColumn(table_column=_never_cut(f"{total}/{total}"))


def _never_cut(text: str) -> Column:
    return Column(no_wrap=True, min_width=len(text))


def _is_terminal(stream: TextIO) -> bool:
    # Not rich's own question: it takes a pipe for a terminal when FORCE_COLOR is set.
    return stream.isatty() and not Console(file=stream).is_dumb_terminal


def _number(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"


def _clock(seconds: float) -> str:
    known = math.isfinite(seconds) and seconds < LONGEST_S
    return str(timedelta(seconds=max(0, round(seconds)))) if known else "?"
