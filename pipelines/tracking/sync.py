"""Uploads of run folders: in a thread during a run, once after a short stage, or for a whole work tree.

The run folder is the record. A server that is down, slow or faulty delays the copy, never the run: what it
missed is sent when it answers, or later by ``tunable track``.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pipelines.core.errors import PipelineError
from pipelines.core.layout import Layout
from pipelines.tracking.metric_names import Group
from pipelines.tracking.run_folder import Behind, Dataset, RunFolder, Status
from pipelines.tracking.server import Server, TrackingError, shown_uri
from pipelines.tracking.system_metrics import SystemMetrics
from pipelines.tracking.uploader import Uploader

logger = logging.getLogger(__name__)

LATER = "tunable track"
EVERY_S = 1.0
LONGEST_PAUSE_S = 30.0
LAST_TRIES = 2
"""Attempts at a server with a fault after the run has ended."""


class RunSync:
    """Keeps one MLflow run equal to a run folder, in a thread.

    Example::

        with RunSync(folder, root, "train-1a2b3c4d", params, tags) as sync:
            ...  # training, which writes log.jsonl and samples/*.png
        sync.finish("FINISHED", [artifacts / "model.safetensors"])

    Leaving the block does not end the upload: every exit from a run must call ``finish``. Numbers of the
    log become metrics, named as :mod:`pipelines.tracking.metric_names` says, at the ``time_s`` of the line.

    Args:
        folder: of the run.
        root: of the work tree, which determines where runs are tracked.
        name: of the MLflow run.
        params: nested options; sent once.
        tags: of the MLflow run.
        parent: folder of the parent run, which need not be on a server yet; or its run id.
        every_s: seconds between two checks of the folder.
        group: how its metrics are named.
        datasets: that the run uses.

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
        *,
        group: Group = "train",
        datasets: Iterable[Dataset] = (),
    ) -> None:
        self.folder = folder
        self._files = RunFolder(folder)
        self._files.begin(name, tags or {}, params or {}, parent, group=group, datasets=datasets)
        self._system = SystemMetrics(self._files.system)
        self._ending, self._closed, self._tried = Event(), Event(), Event()
        self._server = Server(root)
        self._uploaders = [self._make_uploader(self._files)]
        self._outage = _Outage(every_s)
        self._thread = Thread(target=self._work, name="tracking", daemon=True)

    def _make_uploader(self, files: RunFolder) -> Uploader:
        return Uploader(files, self._server, halt=self._closed.is_set)

    def add(self, folder: Path, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Also upload a child run, whose end its own process records.

        One thread uploads all, for databases that allow one writer.

        Args:
            folder: of the child run.
            name: of its MLflow run.
            params: nested options.
            tags: of its MLflow run.

        Raises:
            OSError: the folder cannot be written.
        """
        RunFolder(folder).begin(name, tags, params, self.folder, group="train")
        self.follow(folder)

    def follow(self, folder: Path) -> None:
        """Also upload another run folder that has a plan, until the server has all of it."""
        files = RunFolder(folder)
        if files.plan() is not None:
            self._uploaders.append(self._make_uploader(files))

    @property
    def run_id(self) -> str:
        """Id of the MLflow run; empty until a server has answered."""
        return self._files.sent().run_id

    def wait_for_run(self, timeout_s: float = 10.0) -> str:
        """The run id, after the first attempt to reach the server or the timeout."""
        self._tried.wait(timeout_s)
        return self.run_id

    def __enter__(self) -> "RunSync":
        self._system.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing; :meth:`finish` ends the upload."""

    def finish(self, status: Status, artefacts: Iterable[Path] = (), deadline_s: float = 30.0) -> None:
        """Upload the rest, artefacts and the end; warn of what could not be uploaded in time.

        Args:
            status: how the run ended.
            artefacts: files and folders. They may be replaced afterwards.
            deadline_s: after which the rest is left for ``tunable track``.
        """
        self._system.stop()
        for artefact in artefacts:
            with tolerate_faults(f"{artefact.name} skipped"):
                self._files.hold(artefact)
        with tolerate_faults("end of the run skipped"):
            self._files.end(status)
        self._ending.set()
        if not self._thread.ident:
            self._thread.start()
        try:
            self._thread.join(deadline_s)
        finally:
            self._closed.set()  # a call that hangs ends with the process
        with tolerate_faults("cannot count what was not sent"):
            if behind := sum((uploader.behind() for uploader in self._uploaders), Behind()):
                logger.warning("tracking: %s not sent; when the server answers: %s", behind, LATER)

    def _work(self) -> None:
        tries = LAST_TRIES
        while tries and not self._closed.is_set():
            ending = self._ending.is_set()  # checked before uploading, so that nothing is missed
            is_done = self._upload_all()
            if ending:
                tries = 0 if is_done else tries - 1
                self._closed.wait(EVERY_S if tries else 0)
            else:
                self._ending.wait(self._outage.pause_s)

    def _upload(self, uploader: Uploader) -> None:
        uploader.upload()
        if uploader.is_complete() and uploader is not self._uploaders[0]:
            self._uploaders.remove(uploader)

    def _upload_all(self) -> bool:
        fault: Exception | None = None
        try:
            for uploader in list(self._uploaders):
                self._upload(uploader)
        except Exception as error:  # also a full disk or a bug: neither may fail the run
            fault = error
        self._tried.set()
        if self._closed.is_set():  # finish has reported already
            return False
        if fault:
            self._outage.start(fault)
        else:
            self._outage.end(self._files.sent().top_step)
        return fault is None


class _Outage:
    """Reports once that the server has a fault and once that it has recovered; spaces out retries."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last_s = 0.0

    @property
    def pause_s(self) -> float:
        return self._last_s or self._every_s

    def start(self, error: Exception) -> None:
        if not self._last_s:
            logger.warning("tracking: %s; the log is on disk, to be sent when the server answers", error)
        self._last_s = min(2 * self._last_s or 1.0, LONGEST_PAUSE_S)

    def end(self, step: int) -> None:
        if self._last_s:
            logger.warning("tracking: caught up%s", f" to step {step}" if step >= 0 else "")
        self._last_s = 0.0


def sync_once(folder: RunFolder, root: Path) -> None:
    """Upload a run folder; a fault of the server is reported and not raised.

    Args:
        folder: with a plan.
        root: of the work tree.

    Raises:
        PipelineError: MLflow is not installed.
    """
    uploader = Uploader(folder, Server(root))
    try:
        uploader.upload()
    except TrackingError as error:
        logger.warning("tracking: %s; %s not sent; when it answers: %s", error, uploader.behind(), LATER)


def sync_work_tree(layout: Layout) -> None:
    """Upload what the server lacks of every run of a work tree, and print the result for each.

    Raises:
        TrackingError: some runs are still behind.
    """
    server, left = Server(layout.root), list[str]()
    # A search keeps the folders of its trials inside its own.
    plans = [plan for pattern in ("*", "*/*") for plan in layout.state.glob(f"{pattern}/tracking.json")]
    for folder in (RunFolder(plan.parent) for plan in sorted(plans)):
        name, uploader = folder.path.relative_to(layout.state).as_posix(), Uploader(folder, server)
        try:
            behind = uploader.behind()
            uploader.upload()
            line = f"sent {behind}; run {folder.sent().run_id}" if behind else "complete"
        except TrackingError as error:
            left.append(name)
            line = f"still behind, {uploader.behind()}: {error}"
        print(f"{name}: {line}", flush=True)
    if left:
        raise TrackingError(
            f"expected {shown_uri(layout.root)} to take all runs, it did not take {', '.join(left)}; "
            "run this again when it answers"
        )


@contextmanager
def tolerate_faults(what: str) -> Iterator[None]:
    """Report a full disk or a missing file instead of raising it: tracking never fails a stage."""
    try:
        yield
    except (OSError, PipelineError) as error:
        logger.warning("tracking: %s: %s", what, error)
