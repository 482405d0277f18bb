"""Decoders in processes of their own, so that a crash or a hang is a result and not the end."""

import contextlib
import multiprocessing
import os
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.decoders.decode import MOST_PAGES, NotComparableError, Read, prepare

TIMEOUT_S = 20.0
START_S = 120.0
MEMORY_BYTES = 3 * 2**30
"""What a decoder may ask for beyond what its process has when it is ready."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a file.

    Attributes:
        status: ``read``, ``refused``, ``not comparable``, ``over memory``, ``timed out`` or ``crashed``.
        said: the exception, or the signal.
        first: the first page, where it was read.
        later: pages after it, as far as they could be read.
        later_said: what stopped the reading of further ones.
        seconds: for the first page.
        peak_mb: memory beyond what the process had before; 0 where the system does not tell.
    """

    status: str
    said: str = ""
    first: Read | None = None
    later: tuple[Read, ...] = ()
    later_said: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


class Worker:
    """A process that decodes one file at a time, and is started again when it dies.

    Args:
        name: of a decoder.
        timeout_s: after which a file counts as one that hangs.
    """

    def __init__(self, name: str, timeout_s: float = TIMEOUT_S) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._process: Any = None
        self._pipe: Any = None

    def decode(self, path: Path) -> Outcome:
        """What becomes of a file."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send(path)
            if self._pipe.poll(self._timeout_s):
                outcome: Outcome = self._pipe.recv()
                return outcome
        except (EOFError, OSError):
            self._process.join()
            said = f"exit code {self._process.exitcode}"
            self.close()
            return Outcome("crashed", said)
        self.close()
        return Outcome("timed out", f"after {self._timeout_s:g} s")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._name, other), daemon=True)
        self._process.start()
        other.close()
        if not self._pipe.poll(START_S):
            raise RuntimeError(f"{self._name} did not start within {START_S:g} s")
        try:
            self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self._name} did not start: is it installed?") from None


def _serve(name: str, pipe: Connection) -> None:
    """Decode what comes through a pipe until it is closed."""
    read = prepare(name)
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        limit = int(statistics.read_text().split()[0]) * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    pipe.send("ready")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries write there what they think of broken files
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        pipe.send(_outcome(read, path))


def _outcome(read: Any, path: Path) -> Outcome:
    before, start = _reset_peak(), time.perf_counter()
    try:
        first = read(path, 0)
    except NotComparableError as error:
        return Outcome("not comparable", str(error))
    except MemoryError as error:
        return Outcome("over memory", repr(error)[:200])
    except Exception as error:
        said = _said(error, path)
        over = "out of memory" in said.lower() or "insufficient memory" in said.lower()
        return Outcome("over memory" if over else "refused", said)
    if first.pixels.ndim not in (2, 3) or first.pixels.size == 0:
        return Outcome("refused", "no pixels")
    seconds, peak_mb = time.perf_counter() - start, (_peak_kb() - before) / 1024
    later, said = list[Read](), ""
    try:
        for page in range(1, min(first.pages, MOST_PAGES)):
            later.append(read(path, page))
    except Exception as error:
        said = _said(error, path)
    return Outcome("read", "", first, tuple(later), said, seconds, max(peak_mb, 0.0))


def _said(error: Exception, path: Path) -> str:
    """The error, without where the file lies."""
    message = " ".join(str(error).replace(str(path), path.name).split())
    return f"{type(error).__name__}: {message}"[:200]


def _reset_peak() -> int:
    """Kilobytes that the process has now; the peak counts from here."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_kb()


def _peak_kb() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
