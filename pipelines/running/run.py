"""A run: what makes it this one, where its state lies, and why another one does not go on as it.

In ``.state/train-<16 digits>``::

    run.json      what the run is: options, photographs, code; and under which versions it goes on
    log.jsonl     the loss curve and more, see runlog.py
    checkpoints/  see checkpoint.py
    samples/      pictures
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.core.disk import explain_full_disk
from pipelines.core.errors import TrainingError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, write_json_atomic
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import code_digests, fingerprint
from pipelines.running.versions import changed_versions, installed_versions, said
from pipelines.tasks import make_task
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog

NOTE = "run.json"

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of the ``train`` stage.

    Attributes:
        identity: the fingerprint.
        folder: of its state.
        materials: what it takes from outside its options, and which that is.
        options: everything that defines its numbers but photographs and code, as JSON values.
        photos_sha256: of the photographs.
        keep: how many checkpoints stay.
        code: digests of the training code, by file.
        versions: of what else computes its numbers; they may change while it is under way.
    """

    identity: str
    folder: Path
    materials: dict[str, str]
    options: dict[str, Any]
    photos_sha256: str
    keep: int
    code: dict[str, str] = field(default_factory=code_digests)
    versions: dict[str, str] = field(default_factory=installed_versions)

    @classmethod
    def of(cls, config: TrainConfig, photos: PhotoSet, layout: Layout) -> "Run":
        """The run of these options on these photographs, with the code of this installation.

        Raises:
            DataError: a file that the options name is missing.
        """
        task = make_task(config.task, layout.root)
        materials = {**task.materials, **config.network.materials(layout.root)}
        options = config.identity() | ({"materials": materials} if materials else {})
        identity = fingerprint(options, photos.index.sha256)
        return cls(
            identity=identity,
            folder=layout.state / f"train-{identity[:16]}",
            materials=materials,
            options=options,
            photos_sha256=photos.index.sha256,
            keep=config.compute.keep_checkpoints,
        )

    @property
    def store(self) -> CheckpointStore:
        """Its checkpoints."""
        return CheckpointStore(self.folder / "checkpoints", self.identity, self.keep)

    @property
    def log(self) -> RunLog:
        """Its log."""
        return RunLog(self.folder)

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """Where it went on with other code, see :meth:`accept`, or versions, see :meth:`begin`."""
        note = _note(self.folder)
        return list(note.get("lineage", [])) if note else []

    def begin(self, tell: Tell) -> int:
        """Write down what the run is; the step it goes on from, 0 for a start.

        Args:
            tell: gets a sentence: where it goes on, and under which other versions than before; or why it
                starts clean though other runs are there.

        Raises:
            CheckpointError: there are checkpoints of this run, and all are damaged.
            TrainingError: the disk is full.
        """
        step = self.store.newest(tell)
        if step:
            self._go_on(step, tell)
            return step
        other = self._latest_other()
        if other is not None:
            changes = "; ".join(self._differences(other))
            tell(f"starting clean, in {self.folder}; since the last run {changes}")
        self._write([], self.versions)
        return 0

    def accept(self, tell: Tell) -> None:
        """Take over the newest checkpoint of the last run that differs in code alone, and write that down.

        Does nothing if this run has a checkpoint of its own, or no such run has one.

        Args:
            tell: gets a sentence about what was done.

        Raises:
            CheckpointError: all checkpoints of this or of the other run are damaged.
            TrainingError: the disk is full.
        """
        if self.store.newest() is not None:
            return
        for folder, note in self._others():
            store = CheckpointStore(folder / "checkpoints", note["fingerprint"])
            step = store.newest() if self._same_but_code(note) else None
            if step is not None:
                self._take_over(folder, note, step, store)
                tell(f"accepted from step {step} on: {'; '.join(self._code_differences(note))}")
                return
        tell("no checkpoint of a run that differs in its code alone; nothing to accept")

    def _go_on(self, step: int, tell: Tell) -> None:
        before = _versions(_note(self.folder))
        ended = step >= self.options["steps"]  # then nothing is computed under the versions of now
        now = before if ended else self.versions
        changed = changed_versions(before, now)
        under = f", with {said(changed)}: numbers may differ from there on" if changed else ""
        tell(f"going on from step {step}, in {self.folder}{under}")
        event = {"fingerprint": self.identity, "step": step, "versions": changed}
        self._write([*self.lineage, event] if changed else self.lineage, now)

    def _take_over(self, folder: Path, note: Mapping[str, Any], step: int, store: CheckpointStore) -> None:
        changed = _changed(note["code"], self.code)
        event = {"fingerprint": note["fingerprint"], "step": step, "code": changed}
        self._write([*note.get("lineage", []), event], _versions(note))
        if (folder / "log.jsonl").exists():
            with self._full_disk_told():
                shutil.copyfile(folder / "log.jsonl", self.folder / "log.jsonl")
        self.store.save(step, store.load(step))

    def _full_disk_told(self) -> AbstractContextManager[None]:
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
        if _note(self.folder) != note:
            with self._full_disk_told():
                write_json_atomic(self.folder / NOTE, note)

    def _others(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Other runs of the work tree, the last one first."""
        notes = [p for p in self.folder.parent.glob(f"train-*/{NOTE}") if p.parent != self.folder]
        for path in sorted(notes, key=lambda note: note.stat().st_mtime, reverse=True):
            note = _note(path.parent)
            if note is not None:
                yield path.parent, note

    def _latest_other(self) -> dict[str, Any] | None:
        return next((note for _, note in self._others()), None)

    def _same_but_code(self, note: Mapping[str, Any]) -> bool:
        return (note["options"], note["photos"]) == (self.options, self.photos_sha256)

    def _differences(self, note: Mapping[str, Any]) -> list[str]:
        """In words, what makes another run another one."""
        before, now = _flat(note["options"]), _flat(self.options)
        options = [
            f"train.{name} was {before.get(name, 'not there')}, is {now.get(name, 'not there')}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        photos = ["the training photographs changed"] if note["photos"] != self.photos_sha256 else []
        return options + photos + self._code_differences(note)

    def _code_differences(self, note: Mapping[str, Any]) -> list[str]:
        files = _changed(note["code"], self.code)
        python = changed_versions(_versions(note), self.versions).get("Python")
        if files and python:  # whose minor versions make other syntax trees of the same code
            return [
                f"Python was {python['was']}, is {python['is']}, under which training code counts as changed "
                f"even where it is the same ({len(files)} of {len(self.code)} files)"
            ]
        return [f"training code changed ({', '.join(files)})"] if files else []


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _versions(note: Mapping[str, Any] | None) -> dict[str, str]:
    """Under which a run last went on; none where it was written down before versions were."""
    return dict(note.get("versions", {})) if note else {}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


def _note(folder: Path) -> dict[str, Any] | None:
    """What a run wrote down; None if it did not, or another version of this package did."""
    try:
        note = read_json(folder / NOTE)
    except (OSError, ValueError):
        return None
    known = isinstance(note, dict) and note.get("schema") == 1
    return note if known else None
