"""Tracking for a stage that is over in a moment: what it says once, to a server that is there or not."""

import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pipelines.tracking.errors import TrackingError
from pipelines.tracking.folder import now_ms
from pipelines.tracking.server import Server, Value, numbers

T = TypeVar("T")


class Tracker:
    """What a stage adds to an MLflow run, or a run of its own. It never fails a stage.

    The first fault is told in one line, and nothing more is tried: a stage that lasts a moment must not
    wait for a server that is down, and can simply run again.

    Args:
        root: of the work tree.
        name: of the run, when it is new.
        run_id: of a run to add to, if the server still has it.
        tags: of a new run.
        again: the command that says everything again, for the line about a fault.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        again: str = "",
    ) -> None:
        self._again = again
        self._broken = self._made = False
        self._server = Server(root)
        self.run_id = self._try(lambda: self._open(name, run_id, tags or {})) or ""

    def _open(self, name: str, run_id: str | None, tags: Mapping[str, str]) -> str:
        if run_id is not None and self._server.has(run_id):
            return run_id
        self._made = True
        return self._server.claim(uuid.uuid4().hex, name, tags)

    def summary(self, values: Mapping[str, Any], step: int) -> None:
        """Log the numbers among nested values, by dotted name."""
        now = now_ms()
        points = [Value(name, value, now, step) for name, value in numbers(values).items()]
        self._try(lambda: self._server.values(self.run_id, points))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Log a file, or a folder with all in it."""
        self._try(lambda: self._server.file(self.run_id, path, folder))

    def register(self, name: str, folder: Path) -> str:
        """Register a folder as a model version with the alias ``published``; its number, or ''.

        Args:
            name: of the registered model.
            folder: named by its version, which becomes the tag ``zoo_version``.
        """
        place = f"entry/{folder.name}"  # one run may publish several entries
        self.artifact(folder, place)
        return self._try(lambda: self._server.register(self.run_id, name, place, folder.name)) or ""

    def finish(self, status: str = "FINISHED") -> None:
        """End the run as FINISHED, FAILED or KILLED, if it was made here: another one's end is its own."""
        if self._made:
            self._try(lambda: self._server.end(self.run_id, status))

    def _try(self, action: Callable[[], T]) -> T | None:
        if self._broken:
            return None
        try:
            return action()
        except TrackingError as error:
            self._broken = True
            later = f"; to track it later: {self._again}" if self._again else ""
            print(f"tracking stopped: {error}; the run goes on{later}", file=sys.stderr, flush=True)
            return None
