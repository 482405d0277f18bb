"""The files of a run folder that describe its copy on a tracking server.

===================  ====================================================================
``tracking.json``    the plan: name, tags, options, parent, how the run ended; written by the
                     run alone
``mlflow.json``      the progress of the copy; written by the uploader, after the server has
                     confirmed
``log.jsonl``        points, one line each
``system.jsonl``     load of this machine, if that is asked for
``samples/*.png``    pictures, by step
``outbox``           artefacts that the server does not have yet
===================  ====================================================================

So the folder holds all that a copy needs, and can be uploaded at any later time.
"""

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.core.records import flatten_keys, write_json_atomic
from pipelines.tracking.context import EXPERIMENT_NAME
from pipelines.tracking.metric_names import Group
from pipelines.training.log import LOG
from zoo.durable import TEMPORARY, replacement_of

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
SYSTEM = "system.jsonl"


class _Note(BaseModel):
    """A JSON file; missing keys have their defaults, unknown ones are ignored."""

    model_config = ConfigDict(extra="ignore")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None if the file is missing or damaged."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, path: Path) -> None:
        """Write atomically."""
        write_json_atomic(path, self.model_dump(mode="json"))


class Dataset(BaseModel):
    """Photographs that a run used, as the server lists them among its inputs."""

    name: str
    digest: str
    """Hexadecimal SHA-256 of their index."""
    context: Literal["training", "validation", "test"]
    source: str
    """Where they are: a path relative to the work tree."""
    profile: dict[str, int] = {}
    """Counts, by what is counted."""


class Plan(_Note):
    """The run as the server is to show it."""

    key: str = Field(default_factory=lambda: uuid.uuid4().hex)
    """Identifies the run in all databases; unique to the folder."""
    started_ms: int = Field(default_factory=lambda: now_ms())
    name: str
    experiment: str = ""
    """Name of the experiment; empty for the default one."""
    tags: dict[str, str] = {}
    group: Group = ""
    """How its metrics are named, see :mod:`pipelines.tracking.metric_names`; empty in plans of earlier
    versions."""
    datasets: list[Dataset] = []
    params: dict[str, str] = {}
    """Options by dotted name."""
    parent: str = ""
    """A run id, or the path of the parent's folder from this one."""
    extends: str = ""
    """Id of a run to add to, if the server has it; its name, options and end stay."""
    model: str = ""
    """Registered model of which the folder ``entry/<model_version>`` becomes a version; empty for none."""
    model_version: str = ""
    description: str = ""
    """Of that version, in Markdown."""
    status: Status = "RUNNING"
    ended_ms: int | None = None


class Sent(_Note):
    """What the server has confirmed."""

    run_id: str = ""
    log_bytes: int = 0
    """All points of the log before this byte are there."""
    top_step: int = -1
    """The highest step among those points."""
    system_bytes: int = 0
    """All lines of ``system.jsonl`` before this byte are there."""
    group: Group = ""
    """By which those points are named."""
    params: bool = False
    tags: dict[str, str] = {}
    datasets: list[Dataset] = []
    pictures: dict[str, int] = {}
    """By file name: modification time, in ns, of the picture that was sent."""
    status: Status | None = None
    registered_ms: int | None = None
    """End of the run whose model was registered last."""


@dataclass(frozen=True, kw_only=True)
class Behind:
    """What the server lacks; false if nothing."""

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
        counts = ((self.points, "point"), (self.files, "file"))
        parts = [f"{count} {what}{'s' * (count > 1)}" for count, what in counts if count]
        *first, last = parts + ["its end"] * self.end or ["nothing"]
        return f"{', '.join(first)} and {last}" if first else last


class RunFolder:
    """A run folder as the source of a copy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / LOG
        self.system = path / SYSTEM
        self.outbox = path / "outbox"
        self._plan = path / "tracking.json"
        self._sent = path / "mlflow.json"

    def plan(self) -> Plan | None:
        """The plan; None for a folder that is not tracked."""
        return Plan.read(self._plan)

    def begin(
        self,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        parent: Path | str | None = None,
        extends: str = "",
        model: tuple[str, str] = ("", ""),
        *,
        group: Group = "",
        datasets: Iterable[Dataset] = (),
        description: str = "",
    ) -> None:
        """Plan a copy; a resumed run keeps its key, start and experiment, which the environment names.

        Args:
            name: of the run on the server.
            tags: of the run.
            params: nested options.
            parent: folder or id of the parent run.
            extends: id of a run to add to.
            model: name and version to register.
            group: how its metrics are named.
            datasets: that it uses.
            description: of the registered version, in Markdown.
        """
        plan = Plan(
            name=name,
            experiment=os.environ.get(EXPERIMENT_NAME, ""),
            tags=dict(tags),
            group=group,
            datasets=list(datasets),
            params={key: str(value) for key, value in flatten_keys(params or {}).items()},
            parent=os.path.relpath(parent, self.path) if isinstance(parent, Path) else parent or "",
            extends=extends,
            model=model[0],
            model_version=model[1],
            description=description,
        )
        if known := self.plan():
            plan = plan.model_copy(update=known.model_dump(include={"key", "started_ms", "experiment"}))
        plan.write(self._plan)

    def end(self, status: Status) -> None:
        """Record how the run ended, now."""
        plan = self.plan()
        if plan:
            plan.model_copy(update={"status": status, "ended_ms": now_ms()}).write(self._plan)

    def hold(self, artefact: Path, inside: str = "") -> None:
        """Put a file, or a folder with its contents, into the outbox.

        Files are hard links where the disk supports them: an artefact is replaced, never changed, so the
        outbox keeps this run's when the next run writes its own.

        Args:
            artefact: to upload.
            inside: folder of the outbox, and of the run's artefacts.

        Raises:
            OSError: it is missing, or the disk is full.
        """
        files = [file for file in artefact.rglob("*") if file.is_file()] if artefact.is_dir() else [artefact]
        for file in files:
            _link_file(file, self.outbox / inside / file.relative_to(artefact.parent))

    def sent(self) -> Sent:
        """What the server has confirmed; nothing, if there is no note of it."""
        return Sent.read(self._sent) or Sent()

    def note(self, sent: Sent) -> None:
        """Record what the server has confirmed."""
        sent.write(self._sent)

    def lock(self) -> FileLock:
        """Held during an upload: one process at a time."""
        return FileLock(self.path / "mlflow.lock", timeout=5)

    def pictures(self, sent: Sent) -> list[Path]:
        """Pictures that the server does not have, or has in an older version."""
        all_ = sorted((self.path / "samples").glob("*.png"))
        return [picture for picture in all_ if sent.pictures.get(picture.name) != picture.stat().st_mtime_ns]

    def held(self) -> list[Path]:
        """Files in the outbox."""
        complete = (path for path in self.outbox.rglob("*") if not path.name.startswith(TEMPORARY))
        return sorted(path for path in complete if path.is_file())


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _link_file(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacement_of(target) as temporary:
        try:
            os.link(file, temporary)
        except OSError:  # another disk, or one without hard links
            shutil.copyfile(file, temporary)
