"""Brings a run's folder to the tracking server: what is not there yet, in an order that can stop anywhere."""

import sys
from collections.abc import Callable
from pathlib import Path

from filelock import Timeout

from pipelines.tracking import journal
from pipelines.tracking.errors import ForgottenError, RefusedError, TrackingError
from pipelines.tracking.folder import Behind, Plan, RunFolder, Sent
from pipelines.tracking.journal import Point
from pipelines.tracking.server import PARENT, Server, Value

POINTS_A_CALL = 200


class Courier:
    """Makes one MLflow run equal to a folder.

    Args:
        folder: with a plan.
        server: to bring it to.
        halt: asked between two calls whether to stop.
    """

    def __init__(self, folder: RunFolder, server: Server, halt: Callable[[], bool] = lambda: False) -> None:
        self._folder, self._server, self._halt = folder, server, halt
        self._met = False

    def behind(self) -> Behind:
        """What the server lacks, as far as this disk knows."""
        plan, sent = self._folder.plan(), self._folder.sent()
        points, _ = journal.read(self._folder.log, self._start(sent))
        files = len(self._folder.pictures(sent)) + len(self._folder.held())
        return Behind(points=len(points), files=files, end=plan is not None and plan.status != sent.status)

    def complete(self) -> bool:
        """Whether the run has ended and the server has all of it."""
        plan = self._folder.plan()
        return plan is not None and plan.status != "RUNNING" and not self.behind()

    def deliver(self) -> None:
        """Bring all that is new; a server with nothing to learn is not asked.

        A point may be said twice when a process dies in between; it is one point on the server.

        Raises:
            TrackingError: something could not be brought; the rest of it, and this, is brought next time.
        """
        try:
            with self._folder.alone():
                self._deliver()
        except Timeout as error:
            raise TrackingError(f"another process is sending {self._folder.path.name}") from error
        except TrackingError:
            self._met = False  # who knows which database answers when one does
            raise

    def _deliver(self) -> None:
        plan, sent = self._folder.plan(), self._folder.sent()
        if plan is None or (sent.run_id and sent.params and not self.behind()):
            return
        sent = self._meet(plan, sent)
        for part in (self._params, self._points, self._files, self._status):
            part(plan, sent)

    def _meet(self, plan: Plan, sent: Sent) -> Sent:
        """See that the run is there; in a new database everything begins again."""
        if self._met and sent.run_id:
            return sent
        if not self._server.has(sent.run_id):
            tags = plan.tags | self._parent(plan)
            run_id = self._server.claim(plan.key, plan.name, tags, plan.started_ms)
            sent = Sent(run_id=run_id, status="RUNNING")
            self._folder.note(sent)
        self._met = True
        return sent

    def _parent(self, plan: Plan) -> dict[str, str]:
        if not plan.parent:
            return {}
        folder = RunFolder(self._folder.path / plan.parent)
        above = folder.plan()
        if above is None:  # no folder: an id
            return {PARENT: plan.parent}
        with folder.alone():
            return {PARENT: self._server.claim(above.key, above.name, above.tags, above.started_ms)}

    def _params(self, plan: Plan, sent: Sent) -> None:
        if sent.params:
            return
        self._bring("options", sent, lambda: self._server.params(sent.run_id, plan.params))
        sent.params = True
        self._folder.note(sent)

    def _points(self, plan: Plan, sent: Sent) -> None:
        while not self._halt():
            start = self._start(sent)
            points, end = journal.read(self._folder.log, start, lines=POINTS_A_CALL)
            if not points:
                return
            self._bring(f"points up to step {points[-1].step}", sent, self._saying(points, start, plan, sent))
            sent.log_bytes, sent.top_step = end, max(sent.top_step, *(point.step for point in points))
            self._folder.note(sent)

    def _saying(self, points: list[Point], start: int, plan: Plan, sent: Sent) -> Callable[[], None]:
        repeats = min(point.step for point in points) <= sent.top_step
        earlier = journal.read(self._folder.log, end=start)[0] if repeats else []
        values = _new(points, earlier, plan.started_ms)
        return lambda: self._server.values(sent.run_id, values)

    def _start(self, sent: Sent) -> int:
        log = self._folder.log
        return sent.log_bytes if log.exists() and log.stat().st_size >= sent.log_bytes else 0

    def _files(self, plan: Plan, sent: Sent) -> None:
        for picture in self._folder.pictures(sent):
            if self._halt():
                return
            written = picture.stat().st_mtime_ns
            self._file(picture, "samples", sent)
            sent.pictures[picture.name] = written
            self._folder.note(sent)
        for file in self._folder.held():
            if self._halt():
                return
            inside = file.relative_to(self._folder.outbox).parent.as_posix()
            self._file(file, None if inside == "." else inside, sent)
            file.unlink()

    def _file(self, path: Path, folder: str | None, sent: Sent) -> None:
        self._bring(path.name, sent, lambda: self._server.file(sent.run_id, path, folder))

    def _status(self, plan: Plan, sent: Sent) -> None:
        """Last, so that a run that is over has everything."""
        if plan.status == sent.status or self._halt():
            return
        if plan.status == "RUNNING":
            self._server.go_on(sent.run_id)
        else:
            self._server.end(sent.run_id, plan.status, plan.ended_ms)
        sent.status = plan.status
        self._folder.note(sent)

    def _bring(self, what: str, sent: Sent, call: Callable[[], None]) -> None:
        """What the server will never take must not keep the rest from it."""
        try:
            call()
        except RefusedError as error:
            if not self._server.has(sent.run_id):
                raise ForgottenError(str(error)) from error  # a deleted run refuses everything
            print(f"tracking: {what} left out: {error}", file=sys.stderr, flush=True)


def _new(points: list[Point], earlier: list[Point], started_ms: int) -> list[Value]:
    """What a resumed run writes again with the same numbers is there already."""
    known = {(point.step, name): repr(value) for point in earlier for name, value in point.values.items()}
    values: list[Value] = []
    for point in points:
        # Without a time of its own a point gets one that is the same whenever it is sent.
        time_ms = started_ms if point.time_ms is None else point.time_ms
        for name, value in point.values.items():
            if known.get((point.step, name)) != repr(value):  # by text, so that NaN equals NaN
                values.append(Value(name, value, time_ms, point.step))
            known[point.step, name] = repr(value)
    return values
