"""A run: what identifies it, where its state is, and how it differs from other runs.

In ``.state/train-<16 digits>``::

    run.json      what identifies the run: options, photographs, code; and the versions it runs under
    log.jsonl     the loss curve and more, see pipelines/training/log.py
    checkpoints/  see pipelines/training/checkpoint.py
    samples/      pictures
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.core.errors import TrainingError, explain_full_disk
from pipelines.core.layout import Layout
from pipelines.core.records import flatten_keys, read_json, write_json_atomic
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import (
    changed_versions,
    code_digests,
    compute_fingerprint,
    describe_versions,
    installed_versions,
)
from pipelines.running.job import TrainJob
from pipelines.running.registrations import digest_plugins
from pipelines.tasks import make_task
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import ComputeConfig, TrainConfig
from pipelines.training.log import LOG, RunLog

NOTE = "run.json"

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of the ``train`` stage.

    Attributes:
        identity: the fingerprint.
        folder: of its state.
        materials: files that its options name, by role, with their SHA-256.
        options: all that determine its numbers, as JSON values.
        photos_sha256: of the photographs.
        compute: where it runs, which is no part of its identity.
        code: digests of the training code that it uses, by file.
        versions: of Python and of the packages that its numbers depend on; they may change during the run.
    """

    identity: str
    folder: Path
    materials: dict[str, str]
    options: dict[str, Any]
    photos_sha256: str
    compute: ComputeConfig
    code: dict[str, str]
    versions: dict[str, str] = field(default_factory=installed_versions)

    @classmethod
    def of(cls, config: TrainConfig, photos: PhotoSet, layout: Layout) -> "Run":
        """The run of these options on these photographs, with the code of this process.

        Raises:
            DataError: a file that the options name is missing.
        """
        task = make_task(config.task, layout.root)
        materials = {**task.materials, **config.network.materials(layout.root)}
        options = config.identity() | ({"materials": materials} if materials else {})
        code = code_digests(used=config.modules) | digest_plugins(config)
        identity = compute_fingerprint(options, photos.index.sha256, code)
        return cls(
            identity=identity,
            folder=layout.state / f"train-{identity[:16]}",
            materials=materials,
            options=options,
            photos_sha256=photos.index.sha256,
            compute=config.compute,
            code=code,
        )

    def make_job(self, config: TrainConfig, layout: Layout) -> TrainJob:
        """The job that trains it."""
        return TrainJob.from_layout(config, layout, folder=self.folder, fingerprint=self.identity)

    @property
    def store(self) -> CheckpointStore:
        """Its checkpoints."""
        return CheckpointStore.of_run(self.folder, self.identity, self.compute)

    @property
    def log(self) -> RunLog:
        """Its log."""
        return RunLog(self.folder)

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """Where it resumed with other code, see :meth:`accept`, or other versions, see :meth:`begin`."""
        note = _read_note(self.folder)
        return list(note.get("lineage", [])) if note else []

    def begin(self, report: Report) -> int:
        """Record what identifies the run; return the step to resume from, 0 for a start.

        Args:
            report: called with a message: where the run resumes, and under which other versions; or why it
                starts clean although there are other runs.

        Raises:
            CheckpointError: there are checkpoints of this run, and all are damaged.
            DataError: the storage of the run's checkpoints cannot be reached.
            TrainingError: the disk is full.
        """
        note = self.folder / NOTE
        self.store.pull(report, [note])
        step = self.store.newest(report)
        if step:
            self._resume(step, report)
        else:
            other = next((note for _, note in self._find_others()), None)
            if other is not None:
                changes = "; ".join(self._differences(other))
                report(f"starting clean, in {self.folder}; since the last run {changes}")
            self._write([], self.versions)
        self.store.push([note])  # a storage that refuses does so before anything is trained
        return step or 0

    def accept(self, report: Report) -> None:
        """Take over the newest checkpoint of the last run that differs in code alone, and record that.

        Does nothing if this run has a checkpoint of its own, or no such run has one.

        Args:
            report: called with a message about what was done.

        Raises:
            CheckpointError: all checkpoints of this or of the other run are damaged.
            TrainingError: the disk is full.
        """
        if self.store.newest() is not None:
            return
        for folder, note in self._find_others():
            store = CheckpointStore(folder / "checkpoints", note["fingerprint"])
            step = store.newest() if self._differs_in_code_alone(note) else None
            if step is not None:
                self._take_over(folder, note, step, store)
                report(f"accepted from step {step} on: {'; '.join(self._code_differences(note))}")
                return
        report("found no checkpoint of a run that differs in code alone; nothing to accept")

    def _resume(self, step: int, report: Report) -> None:
        before = _read_versions(_read_note(self.folder))
        is_complete = step >= self.options["steps"]  # then nothing is computed under the present versions
        now = before if is_complete else self.versions
        changed = changed_versions(before, now)
        under = f", with {describe_versions(changed)}: numbers may differ from here on" if changed else ""
        report(f"resuming from step {step}, in {self.folder}{under}")
        event = {"fingerprint": self.identity, "step": step, "versions": changed}
        self._write([*self.lineage, event] if changed else self.lineage, now)

    def _take_over(self, folder: Path, note: Mapping[str, Any], step: int, store: CheckpointStore) -> None:
        changed = _changed_keys(note["code"], self.code)
        event = {"fingerprint": note["fingerprint"], "step": step, "code": changed}
        self._write([*note.get("lineage", []), event], _read_versions(note))
        if (folder / LOG).exists():
            with self._explain_full_disk():
                shutil.copyfile(folder / LOG, self.folder / LOG)
        self.store.save(step, store.load(step))

    def _explain_full_disk(self) -> AbstractContextManager[None]:
        return explain_full_disk(self.folder, "free some and run again", kind=TrainingError)

    def _write(self, lineage: list[dict[str, Any]], versions: Mapping[str, str]) -> None:
        note = {
            "schema": 1,
            "fingerprint": self.identity,
            "options": self.options,
            "photos": self.photos_sha256,
            "code": self.code,
            "versions": versions,
            "lineage": lineage,
        }
        if _read_note(self.folder) != note:
            with self._explain_full_disk():
                write_json_atomic(self.folder / NOTE, note)

    def _find_others(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Other runs of the work tree, latest first."""
        notes = [p for p in self.folder.parent.glob(f"train-*/{NOTE}") if p.parent != self.folder]
        for path in sorted(notes, key=lambda note: note.stat().st_mtime, reverse=True):
            note = _read_note(path.parent)
            if note is not None:
                yield path.parent, note

    def _differs_in_code_alone(self, note: Mapping[str, Any]) -> bool:
        return (note["options"], note["photos"]) == (self.options, self.photos_sha256)

    def _differences(self, note: Mapping[str, Any]) -> list[str]:
        """How another run differs, as text."""
        before, now = flatten_keys(note["options"]), flatten_keys(self.options)
        options = [
            f"train.{name} was {before.get(name, 'unset')}, is {now.get(name, 'unset')}"
            for name in _changed_keys(before, now)
        ]
        photos = ["the training photographs changed"] if note["photos"] != self.photos_sha256 else []
        return options + photos + self._code_differences(note)

    def _code_differences(self, note: Mapping[str, Any]) -> list[str]:
        files = _changed_keys(note["code"], self.code)
        return [f"training code changed ({', '.join(files)})"] if files else []


def _changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _read_versions(note: Mapping[str, Any] | None) -> dict[str, str]:
    """The versions under which a run last started; empty in notes of earlier releases."""
    return dict(note.get("versions", {})) if note else {}


def _read_note(folder: Path) -> dict[str, Any] | None:
    """The note of a run; None if it is missing, damaged or of another schema."""
    try:
        note = read_json(folder / NOTE)
    except (OSError, ValueError):
        return None
    known = isinstance(note, dict) and note.get("schema") == 1
    return note if known else None
