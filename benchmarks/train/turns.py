"""Variants that take turns: each in processes of its own, which stand still until it is their turn.

The speed of a shared machine wavers by a third within minutes. What runs a few seconds apart meets the same
machine, so ratios within a round are those of the variants.
"""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context

import psutil

from benchmarks.train.points import Point

START_TIMEOUT_S = 180.0
LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Turn:
    """What a variant did in one turn.

    Attributes:
        images_per_s: of all its processes together.
        others: cores that were busy with anything else meanwhile.
    """

    images_per_s: float
    others: float


Points = Callable[[], Sequence[Sequence[Point]]]
"""Of every process that measures itself, so far."""


class Contender:
    """One variant: processes that run until they are ended, and theirs.

    Args:
        bodies: one process each; picklable.
        points: what they have measured.
    """

    def __init__(self, bodies: Sequence[Callable[[], None]], points: Points) -> None:
        self._points = points
        self._roots = [get_context("spawn").Process(target=body) for body in bodies]
        for root in self._roots:
            root.start()

    def warm_up(self, least: int, more_s: float) -> None:
        """Wait for so many points of every process, then longer, and stand still.

        Raises:
            RuntimeError: a process ended, or they do not come.
        """
        limit = time.monotonic() + START_TIMEOUT_S
        while min((len(own) for own in self._points()), default=0) < least:
            if time.monotonic() > limit or not all(root.is_alive() for root in self._roots):
                raise RuntimeError(f"a variant has not begun after {START_TIMEOUT_S:.0f} s, or has ended")
            time.sleep(LOOK_EVERY_S)
        time.sleep(more_s)
        self._send(signal.SIGSTOP)

    def turn(self, seconds: float) -> Turn:
        """Let them run so long, and see what they did.

        Raises:
            RuntimeError: no point lies within the turn.
        """
        others = self._others()
        self._send(signal.SIGCONT)
        began = time.time()
        time.sleep(seconds)
        ended = time.time()
        self._send(signal.SIGSTOP)
        busy = max(0.0, self._others() - others) / (ended - began)
        return Turn(speed(self._points(), began, ended), busy)

    def _others(self) -> float:
        """CPU seconds of the machine so far that were not theirs."""
        machine, own = psutil.cpu_times(), 0.0
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                own += sum(process.cpu_times()[:2])
        return float(sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - own)

    def end(self) -> None:
        """Kill them all."""
        family = self._family()
        for process in family:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(family)

    def _send(self, number: signal.Signals) -> None:
        for process in self._family():
            _signal(process, number)

    def _family(self) -> list[psutil.Process]:
        alive = [psutil.Process(root.pid) for root in self._roots if root.is_alive()]
        return [process for root in alive for process in (root, *root.children(recursive=True))]


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def speed(points: Sequence[Sequence[Point]], began: float, ended: float) -> float:
    """Images a second of all processes together, from the points that lie within a span.

    Raises:
        RuntimeError: a process has none there.
    """
    total = 0.0
    for own in points:
        within = [p for p in own if p.time_s - p.seconds >= began and p.time_s <= ended]
        if not within:
            raise RuntimeError(f"no point lies within a turn of {ended - began:.1f} s; make turns longer")
        total += sum(p.images for p in within) / sum(p.seconds for p in within)
    return total


def take_turns(
    contenders: Mapping[str, Contender], rounds: int, seconds: float, tell: Callable[[int, str, Turn], None]
) -> dict[str, list[Turn]]:
    """What each did in every round; every other round goes backwards, against drifts."""
    found: dict[str, list[Turn]] = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        for name in list(contenders)[:: 1 if number % 2 else -1]:
            found[name].append(contenders[name].turn(seconds))
            tell(number, name, found[name][-1])
    return found
