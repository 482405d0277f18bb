"""What a run's folder says about its copy on a tracking server.

===================  ====================================================================
``tracking.json``    what the copy shall be: name, tags, options, parent, how the run ended;
                     written by the run alone
``mlflow.json``      how far the copy is; written by whoever brings it there, after the
                     server has confirmed
``log.jsonl``        points, one line each
``samples/*.png``    pictures
``outbox``           artefacts that the server does not have yet
===================  ====================================================================

So the folder holds all that a copy needs, and a copy can be made at any time later.
"""

import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.core.records import write_json_atomic
from pipelines.tracking.server import flatten
from zoo.durable import TEMPORARY, replacement_of

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class _Note(BaseModel):
    """A JSON file; what is missing has its default, what is unknown is left alone."""

    model_config = ConfigDict(extra="ignore")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None if the file is not there or damaged."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, path: Path) -> None:
        """Whole, or not at all."""
        write_json_atomic(path, self.model_dump(mode="json"))


class Plan(_Note):
    """What the copy shall be."""

    key: str = Field(default_factory=lambda: uuid.uuid4().hex)
    """Of the run, in all databases: two folders never share one."""
    started_ms: int = Field(default_factory=lambda: now_ms())
    name: str
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    """Options by dotted name."""
    parent: str = ""
    """A run id, or the path of the parent's folder from this one."""
    status: Status = "RUNNING"
    ended_ms: int | None = None


class Sent(_Note):
    """How far the copy is."""

    run_id: str = ""
    log_bytes: int = 0
    """Of the log, all points before this byte are there."""
    top_step: int = -1
    """The highest step among those points."""
    params: bool = False
    pictures: dict[str, int] = {}
    """By file name: when the picture was written that is there, in ns."""
    status: Status | None = None


class Behind(BaseModel):
    """What the copy lacks."""

    points: int = 0
    files: int = 0
    end: bool = False

    def __add__(self, other: "Behind") -> "Behind":
        return Behind(
            points=self.points + other.points, files=self.files + other.files, end=self.end or other.end
        )

    def __bool__(self) -> bool:
        return bool(self.points or self.files or self.end)

    def __str__(self) -> str:
        parts = [_counted(self.points, "point"), _counted(self.files, "file"), "its end" if self.end else ""]
        *first, last = [part for part in parts if part] or ["nothing"]
        return f"{', '.join(first)} and {last}" if first else last


class RunFolder:
    """The files of one run that are about its copy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log.jsonl"
        self.outbox = path / "outbox"
        self._plan = path / "tracking.json"
        self._sent = path / "mlflow.json"

    def plan(self) -> Plan | None:
        """What the copy shall be; None for a folder that has none."""
        return Plan.read(self._plan)

    def begin(
        self, name: str, tags: Mapping[str, str], params: Mapping[str, Any], parent: Path | str | None
    ) -> None:
        """Plan a copy; a run that goes on keeps its own."""
        plan = Plan(
            name=name,
            tags=dict(tags),
            params={key: str(value) for key, value in flatten(params)},
            parent=os.path.relpath(parent, self.path) if isinstance(parent, Path) else parent or "",
        )
        if known := self.plan():
            plan = plan.model_copy(update={"key": known.key, "started_ms": known.started_ms})
        plan.write(self._plan)

    def end(self, status: Status) -> None:
        """Write down how the run ended, and when: now."""
        plan = self.plan()
        if plan:
            plan.model_copy(update={"status": status, "ended_ms": now_ms()}).write(self._plan)

    def hold(self, artefact: Path) -> None:
        """Put a file, or a folder with all in it, into the outbox.

        They are links where the disk can: an artefact is replaced, never changed, so the outbox keeps
        this run's when the next run writes its own.

        Raises:
            OSError: it is not there, or the disk is full.
        """
        files = [file for file in artefact.rglob("*") if file.is_file()] if artefact.is_dir() else [artefact]
        for file in files:
            _link(file, self.outbox / file.relative_to(artefact.parent))

    def sent(self) -> Sent:
        """How far the copy is; nothing, if nobody wrote it down."""
        return Sent.read(self._sent) or Sent()

    def note(self, sent: Sent) -> None:
        """Write down how far the copy is."""
        sent.write(self._sent)

    def alone(self) -> FileLock:
        """Held while something is brought: one process at a time."""
        return FileLock(self.path / "mlflow.lock", timeout=5)

    def pictures(self, sent: Sent) -> list[Path]:
        """Pictures that the server does not have, or has in an older form."""
        all_ = sorted((self.path / "samples").glob("*.png"))
        return [picture for picture in all_ if sent.pictures.get(picture.name) != picture.stat().st_mtime_ns]

    def held(self) -> list[Path]:
        """Files in the outbox."""
        whole = (path for path in self.outbox.rglob("*") if not path.name.startswith(TEMPORARY))
        return sorted(path for path in whole if path.is_file())


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _link(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacement_of(target) as temporary:
        try:
            os.link(file, temporary)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file, temporary)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}" if count else ""
