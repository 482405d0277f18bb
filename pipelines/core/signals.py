"""Graceful shutdown on SIGINT, SIGTERM, or loss of the parent ``dvc`` process."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

WATCH_EVERY_S = 0.5


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; ``exit_code`` is what a shell expects of a program that ended by a signal."""

    def __init__(self, signum: int = signal.SIGINT) -> None:
        super().__init__(signum)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """130 after SIGINT, 143 after SIGTERM."""
        return 128 + self.signum


class StopRequest:
    """Whether a stop was requested; called, it answers."""

    def __init__(self) -> None:
        self.signum: int | None = None

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.signum is not None


@contextmanager
def stop_politely(report: Callable[[str], None]) -> Iterator[StopRequest]:
    """Within the block the first Ctrl-C or SIGTERM is a request; a second Ctrl-C ends the block at once.

    torchrun answers Ctrl-C with a SIGTERM to its processes, which got the Ctrl-C themselves; so a SIGTERM
    never counts as the second signal.

    Args:
        report: called with a message when the request comes.

    Yields:
        The request. Outside the main thread, where Python handles no signals, it never comes.

    Raises:
        Interrupted: at the second Ctrl-C.
    """
    request = StopRequest()

    def handle(signum: int, _: FrameType | None) -> None:
        if signum == signal.SIGINT and request.signum == signal.SIGINT:
            raise Interrupted(signum)
        if request.signum is None:
            request.signum = signum
            report("stopping at the next step, with a checkpoint; Ctrl-C again to end at once")

    with handled(handle):
        yield request


@contextmanager
def terminable() -> Iterator[None]:
    """Within the block SIGTERM raises, as Ctrl-C does, so that open resources are closed.

    Raises:
        Interrupted: when the signal comes.
    """

    def handle(signum: int, _: FrameType | None) -> None:
        raise Interrupted(signum)

    with handled(handle, (signal.SIGTERM,)):
        yield


@contextmanager
def handled(
    handle: Callable[[int, FrameType | None], None],
    signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM),
) -> Iterator[None]:
    """Install a handler of these signals for the length of the block, in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_dvc() -> None:
    """Stop this process when the ``dvc`` that runs it as a stage has died.

    A killed DVC leaves its stage running, and the next one would start a second beside it. Outside DVC this
    does nothing: a run under ``nohup`` outlives its shell.
    """
    dvc = _find_dvc()
    if dvc is not None:
        threading.Thread(target=_watch_dvc, args=(dvc,), name="dvc-watch", daemon=True).start()


def _find_dvc() -> psutil.Process | None:
    if "DVC_STAGE" not in os.environ:
        return None
    try:
        ancestors = psutil.Process().parents()
        return next((process for process in ancestors if _is_dvc(process.cmdline())), None)
    except psutil.Error:
        return None


def _is_dvc(command: list[str]) -> bool:
    """Whether it is ``dvc ...``, ``python .../dvc ...`` or ``python -m dvc ...``, and no shell around it."""
    words = [os.path.basename(word) for word in command[:3]]
    return any(word in {"dvc", "dvc.exe"} for word in words)


def _watch_dvc(dvc: psutil.Process) -> None:
    gone = threading.Event()
    while _is_alive(dvc):
        gone.wait(WATCH_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_alive(process: psutil.Process) -> bool:
    # A killed process whose parent has not waited for it is a zombie, and does not run.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
