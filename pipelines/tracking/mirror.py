"""A training run's copy on the tracking server, kept while the run goes on, by a thread that can fail.

The run's folder is the record. A server that is down, slow or faulty costs the copy some time, never the
run: what it missed is sent when it answers, or later by ``tunable track``.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pipelines.core.progress import tell
from pipelines.tracking.courier import Courier
from pipelines.tracking.folder import Behind, RunFolder, Status
from pipelines.tracking.server import Server

LATER = "tunable track"
EVERY_S = 1.0
LONGEST_PAUSE_S = 30.0
LAST_TRIES = 2
"""How often a server that has a fault is asked again after the run has ended."""


class Mirror:
    """Keeps one MLflow run equal to a run's folder.

    Example::

        with Mirror(folder, root, "train-1a2b3c4d", params, tags) as mirror:
            ...  # training, which writes log.jsonl and samples/*.png
        mirror.finish("FINISHED", [artifacts / "model.safetensors"])

    Leaving the block does not end the copy: every way out of a run must call ``finish``. Numbers of the
    log become metrics by dotted name, at the time that the line's ``time_s`` says.

    Args:
        folder: of the run; its log, samples and what is written down about the copy.
        root: of the work tree, which says where runs are tracked.
        name: of the MLflow run.
        params: nested options; sent once.
        tags: of the MLflow run.
        parent: of the run that this one belongs to, its folder, which need not have reached a server
            so far; or its run id.
        every_s: seconds between two looks at the folder.

    Raises:
        PipelineError: MLflow is not installed.
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        root: Path,
        name: str,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        parent: Path | str | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self.folder = folder
        self._files = RunFolder(folder)
        self._files.begin(name, tags or {}, params or {}, parent)
        self._ending, self._over, self._looked = Event(), Event(), Event()
        self._server = Server(root)
        self._couriers = [self._courier(self._files)]
        self._outage = _Outage(every_s)
        self._thread = Thread(target=self._work, name="tracking", daemon=True)

    def _courier(self, files: RunFolder) -> Courier:
        return Courier(files, self._server, halt=self._over.is_set)

    def add(self, folder: Path, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Keep another folder's run as well, below this one; whoever works there says how it ends.

        One thread sends all, so that a database that takes one writer has one.

        Args:
            folder: of the other run.
            name: of its MLflow run.
            params: nested options.
            tags: of its MLflow run.

        Raises:
            OSError: the folder cannot be written.
        """
        RunFolder(folder).begin(name, tags, params, self.folder)
        self.follow(folder)

    def follow(self, folder: Path) -> None:
        """Keep another folder's run as well, as it was planned before, until the server has all of it.

        Args:
            folder: of the other run; without a plan it has no copy.
        """
        files = RunFolder(folder)
        if files.plan() is not None:
            self._couriers.append(self._courier(files))

    @property
    def run_id(self) -> str:
        """Of the MLflow run; '' as long as no server has answered."""
        return self._files.sent().run_id

    def wait_for_run(self, timeout_s: float = 10.0) -> str:
        """The run id, after the first try to reach the server has ended or that time has passed."""
        self._looked.wait(timeout_s)
        return self.run_id

    def __enter__(self) -> "Mirror":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the rest to :meth:`finish`."""

    def finish(self, status: Status, artefacts: Iterable[Path] = (), deadline_s: float = 30.0) -> None:
        """Send what is left, artefacts and the end; say what could not be sent in that time.

        Args:
            status: how the run ended.
            artefacts: files, and folders with all in them. They may be replaced afterwards.
            deadline_s: after which the rest is left for later.
        """
        for artefact in artefacts:
            with _survived(f"{artefact.name} is left out"):
                self._files.hold(artefact)
        with _survived("how the run ended is left out"):
            self._files.end(status)
        self._ending.set()
        if not self._thread.ident:
            self._thread.start()
        try:
            self._thread.join(deadline_s)
        finally:
            self._over.set()  # a call that hangs ends with the process
        with _survived("what was not sent cannot be counted"):
            if behind := sum((courier.behind() for courier in self._couriers), Behind()):
                _tell(f"{behind} not sent; when the server answers: {LATER}")

    def _work(self) -> None:
        tries = LAST_TRIES
        while tries and not self._over.is_set():
            ending = self._ending.is_set()  # asked before looking, so that nothing is missed
            there = self._look()
            if ending:
                tries = 0 if there else tries - 1
                self._over.wait(EVERY_S if tries else 0)
            else:
                self._ending.wait(self._outage.pause_s)

    def _deliver(self, courier: Courier) -> None:
        courier.deliver()
        if courier.complete() and courier is not self._couriers[0]:
            self._couriers.remove(courier)

    def _look(self) -> bool:
        fault: Exception | None = None
        try:
            for courier in list(self._couriers):
                self._deliver(courier)
        except Exception as error:  # also a full disk, or a fault of ours: the run is worth more
            fault = error
        self._looked.set()
        if self._over.is_set():  # finish has had the last word
            return False
        if fault:
            self._outage.fault(fault)
        else:
            self._outage.over(self._files.sent().top_step)
        return fault is None


class _Outage:
    """Tells once that the server has a fault and once that it is over; asks more and more rarely."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last_s = 0.0

    @property
    def pause_s(self) -> float:
        return self._last_s or self._every_s

    def fault(self, error: Exception) -> None:
        if not self._last_s:
            _tell(f"{error}; the run goes on, its log is on disk and will be sent when the server answers")
        self._last_s = min(2 * self._last_s or 1.0, LONGEST_PAUSE_S)

    def over(self, step: int) -> None:
        if self._last_s:
            _tell(f"caught up to step {step}" if step >= 0 else "the server answers")
        self._last_s = 0.0


@contextmanager
def _survived(what: str) -> Iterator[None]:
    """A disk that is full, or a file that is gone, must not hide how a run ended."""
    try:
        yield
    except OSError as error:
        _tell(f"{what}: {error}")


def _tell(line: str) -> None:
    tell(f"tracking: {line}", sys.stderr)
