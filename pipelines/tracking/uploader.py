"""Incremental, resumable upload of a run folder to MLflow."""

import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from pipelines.tracking.metric_names import Group, name_metrics
from pipelines.tracking.registry import register_version
from pipelines.tracking.run_folder import Behind, Plan, RunFolder, Sent
from pipelines.tracking.server import PARENT, RefusedError, Server, TrackingError, UnknownRunError, Value
from pipelines.training.log import read_lines

logger = logging.getLogger(__name__)

POINTS_A_CALL = 200
PICTURE = "sliders"
"""Name of the sample pictures, which are shown along the steps."""
STEP = re.compile(r"step-(\d+)")


class Point(NamedTuple):
    """The numbers of one line of the log."""

    step: int
    values: dict[str, float]
    """By name of the metric."""
    time_ms: int | None
    """When it was written; None if the line does not say."""


def read_points(
    log: Path, start: int = 0, end: int | None = None, limit: int | None = None, group: Group = ""
) -> tuple[list[Point], int]:
    """Points between two bytes of a log, and the byte after them; see :func:`read_lines`."""
    lines, end = read_lines(log, start, end, limit)
    return [_make_point(line, group) for line in lines], end


def _make_point(line: dict[str, Any], group: Group) -> Point:
    step, time_s = line.pop("step"), line.pop("time_s", None)
    has_time = isinstance(time_s, (int, float)) and math.isfinite(time_s)
    return Point(step, name_metrics(line, group), round(time_s * 1000) if has_time else None)


class Uploader:
    """Makes one MLflow run equal to a run folder.

    Args:
        folder: with a plan.
        server: to upload to.
        halt: asked between two calls whether to stop.
    """

    def __init__(self, folder: RunFolder, server: Server, halt: Callable[[], bool] = lambda: False) -> None:
        self._folder, self._server, self._halt = folder, server, halt
        self._is_run_known = False

    def behind(self) -> Behind:
        """What the server lacks, as far as this disk knows."""
        plan, sent = self._folder.plan(), self._folder.sent()
        points, _ = read_points(self._folder.log, _log_start(self._folder.log, sent.log_bytes))
        system, _ = read_points(self._folder.system, _log_start(self._folder.system, sent.system_bytes))
        files = len(self._folder.pictures(sent)) + len(self._folder.held())
        end = plan is not None and (plan.status != sent.status or _is_model_due(plan, sent))
        return Behind(points=len(points) + len(system), files=files, end=end)

    def is_complete(self) -> bool:
        """Whether the run has ended and the server has all of it."""
        plan = self._folder.plan()
        return plan is not None and plan.status != "RUNNING" and not self.behind()

    def upload(self) -> None:
        """Upload all that is new; without any, the server is not called.

        A point may be sent twice when a process dies in between; the server keeps one.

        Raises:
            TrackingError: something could not be uploaded; the next call resumes with it.
        """
        try:
            with self._folder.lock():
                self._upload()
        except Timeout as error:
            raise TrackingError(f"another process is uploading {self._folder.path.name}") from error
        except TrackingError:
            self._is_run_known = False  # another database may answer next
            raise

    def _upload(self) -> None:
        plan, sent = self._folder.plan(), self._folder.sent()
        if plan is None or (sent.run_id and sent.params and not self.behind()):
            return
        sent = self._ensure_run(plan, sent)
        for part in (
            self._upload_labels,
            self._upload_params,
            self._upload_points,
            self._upload_system,
            self._upload_files,
            self._upload_end,
        ):
            part(plan, sent)

    def _ensure_run(self, plan: Plan, sent: Sent) -> Sent:
        """Find or create the run; in a new database the copy starts anew."""
        if self._is_run_known and sent.run_id:
            return sent
        if not self._server.has(sent.run_id):
            if not sent.run_id and self._server.has(plan.extends):
                sent = Sent(run_id=plan.extends)
            else:
                tags = plan.tags | self._claim_parent(plan)
                run_id = self._server.claim(plan.key, plan.name, tags, plan.started_ms, plan.experiment)
                sent = Sent(run_id=run_id, status="RUNNING")
            self._folder.note(sent)
        self._is_run_known = True
        return sent

    def _claim_parent(self, plan: Plan) -> dict[str, str]:
        if not plan.parent:
            return {}
        folder = RunFolder(self._folder.path / plan.parent)
        parent = folder.plan()
        if parent is None:  # an id, not a folder
            return {PARENT: plan.parent}
        with folder.lock():
            claim = self._server.claim
            run_id = claim(parent.key, parent.name, parent.tags, parent.started_ms, parent.experiment)
            return {PARENT: run_id}

    def _upload_labels(self, plan: Plan, sent: Sent) -> None:
        """Tags and inputs; a resumed run has those of its last start."""
        new = {name: value for name, value in plan.tags.items() if sent.tags.get(name) != value}
        if new and sent.run_id != plan.extends:
            self._call("tags", sent, lambda: self._server.tag(sent.run_id, new))
            sent.tags = dict(plan.tags)
            self._folder.note(sent)
        if plan.datasets != sent.datasets:
            self._call("datasets", sent, lambda: self._server.inputs(sent.run_id, plan.datasets))
            sent.datasets = list(plan.datasets)
            self._folder.note(sent)

    def _upload_params(self, plan: Plan, sent: Sent) -> None:
        if sent.params:
            return
        self._call("options", sent, lambda: self._server.params(sent.run_id, plan.params))
        sent.params = True
        self._folder.note(sent)

    def _upload_points(self, plan: Plan, sent: Sent) -> None:
        log, group = self._folder.log, plan.group
        if sent.group != group:  # an earlier version has sent them by other names, which stay
            sent.group, sent.log_bytes, sent.top_step = group, 0, -1
        while not self._halt():
            start = _log_start(log, sent.log_bytes)
            points, end = read_points(log, start, limit=POINTS_A_CALL, group=group)
            if not points:
                return
            is_repeat = min(point.step for point in points) <= sent.top_step
            earlier = read_points(log, end=start, group=group)[0] if is_repeat else []
            self._send_values(points[-1].step, _select_new(points, earlier, plan.started_ms), sent)
            sent.log_bytes, sent.top_step = end, max(sent.top_step, *(point.step for point in points))
            self._folder.note(sent)

    def _upload_system(self, plan: Plan, sent: Sent) -> None:
        log = self._folder.system
        while not self._halt():
            points, end = read_points(log, _log_start(log, sent.system_bytes), limit=POINTS_A_CALL)
            if not points:
                return
            self._send_values(points[-1].step, _select_new(points, [], plan.started_ms), sent)
            sent.system_bytes = end
            self._folder.note(sent)

    def _send_values(self, step: int, values: list[Value], sent: Sent) -> None:
        self._call(f"points up to step {step}", sent, lambda: self._server.values(sent.run_id, values))

    def _upload_files(self, plan: Plan, sent: Sent) -> None:
        for picture in self._folder.pictures(sent):
            if self._halt():
                return
            modified = picture.stat().st_mtime_ns
            self._send_picture(picture, modified, sent)
            sent.pictures[picture.name] = modified
            self._folder.note(sent)
        for file in self._folder.held():
            if self._halt():
                return
            inside = file.relative_to(self._folder.outbox).parent.as_posix()
            self._send_file(file, None if inside == "." else inside, sent)
            file.unlink()

    def _send_picture(self, path: Path, modified_ns: int, sent: Sent) -> None:
        step, time_ms = STEP.fullmatch(path.stem), modified_ns // 1_000_000
        if step is None:
            self._send_file(path, "samples", sent)
            return
        image, number = self._server.image, int(step[1])
        self._call(path.name, sent, lambda: image(sent.run_id, path, PICTURE, number, time_ms))

    def _send_file(self, path: Path, folder: str | None, sent: Sent) -> None:
        self._call(path.name, sent, lambda: self._server.file(sent.run_id, path, folder))

    def _upload_end(self, plan: Plan, sent: Sent) -> None:
        """Last, so that a run that has ended is complete."""
        is_model_due = _is_model_due(plan, sent)
        if self._halt() or not (is_model_due or plan.status != sent.status):
            return
        if is_model_due:
            self._call("model", sent, lambda: register_version(self._server, sent.run_id, plan))
            sent.registered_ms = plan.ended_ms
        if plan.status != sent.status and sent.run_id != plan.extends:
            if plan.status == "RUNNING":
                self._server.resume(sent.run_id)
            else:
                self._server.end(sent.run_id, plan.status, plan.ended_ms)
        sent.status = plan.status
        self._folder.note(sent)

    def _call(self, what: str, sent: Sent, call: Callable[[], object]) -> None:
        """Call the server; what it rejects is skipped, so that it does not block the rest."""
        try:
            call()
        except RefusedError as error:
            if not self._server.has(sent.run_id):
                raise UnknownRunError(str(error)) from error  # a deleted run rejects everything
            logger.warning("tracking: %s skipped: %s", what, error)


def _log_start(log: Path, sent_bytes: int) -> int:
    """Where to read on; a log that is shorter than what was sent has begun anew."""
    return sent_bytes if log.exists() and log.stat().st_size >= sent_bytes else 0


def _is_model_due(plan: Plan, sent: Sent) -> bool:
    return plan.model != "" and plan.status != "RUNNING" and sent.registered_ms != plan.ended_ms


def _select_new(points: list[Point], earlier: list[Point], started_ms: int) -> list[Value]:
    """The values of points that differ from those of earlier points of the same step."""
    known = {(point.step, name): repr(value) for point in earlier for name, value in point.values.items()}
    values: list[Value] = []
    for point in points:
        # A point without a time gets one that is the same whenever it is sent.
        time_ms = started_ms if point.time_ms is None else point.time_ms
        for name, value in point.values.items():
            if known.get((point.step, name)) != repr(value):  # as text, so that NaN equals NaN
                values.append(Value(name, value, time_ms, point.step))
            known[point.step, name] = repr(value)
    return values
