"""The checkpoint store: complete checkpoints or none.

A checkpoint is a folder ``step-00000200`` holding ``state.pt`` and, written last, ``complete.json``
with its SHA-256. Folders without that marker, or whose state does not match it, count as absent. New
ones are written beside the old ones before the oldest are removed.

With ``train.compute.storage`` there are copies at a URL, see :mod:`pipelines.training.remote_checkpoints`.
"""

import io
import logging
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from pipelines.core.errors import CheckpointError, DataError, TrainingError, explain_full_disk
from pipelines.core.records import read_json, sha256_file, write_atomic, write_json_atomic
from pipelines.training.config import ComputeConfig
from pipelines.training.log import LOG
from pipelines.training.remote_checkpoints import MARKER, STATE, RemoteCheckpoints
from zoo.durable import TEMPORARY, create_folder

_log = logging.getLogger(__name__)

_NAME = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,})")


class CheckpointStore:
    """Checkpoints of one run.

    Args:
        folder: of this run alone; its name carries the run's fingerprint.
        fingerprint: written into every checkpoint, and required when one is read.
        keep: how many of the newest stay.
        storage: URL of the run's copies; None for none.
    """

    def __init__(self, folder: Path, fingerprint: str, keep: int = 2, storage: str | None = None) -> None:
        self._folder, self._fingerprint, self._keep = folder, fingerprint, keep
        self._remote = storage and RemoteCheckpoints(storage, fingerprint, keep)

    @classmethod
    def of_run(cls, folder: Path, fingerprint: str, compute: ComputeConfig) -> "CheckpointStore":
        """The checkpoints in the state folder of a run, and their copies where its options say so."""
        storage = compute.storage and f"{compute.storage.rstrip('/')}/{folder.name}"
        return cls(folder / "checkpoints", fingerprint, compute.keep_checkpoints, storage)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of ``step`` durably, then drop the oldest, and copy it to the storage.

        A storage that does not answer is a warning: the next copy may succeed, or :meth:`push`.

        Raises:
            TrainingError: the disk is full; earlier checkpoints are intact.
        """
        for leftover in self._folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self._write(step, buffer.getvalue())
        for damaged in [other for other in self._steps() if other > step]:
            shutil.rmtree(self._path(damaged), ignore_errors=True)  # or the run would have resumed from it
        for old in self._steps()[: -self._keep]:
            shutil.rmtree(self._path(old), ignore_errors=True)
        if self._remote:
            try:
                self._remote.upload(step, self._path(step), self._log_path)
            except DataError as error:
                _log.warning("the checkpoint of step %d is on this disk alone: %s", step, error)

    def newest_copy(self) -> int | None:
        """Step of the newest checkpoint in the storage; None without one, or without a storage.

        Raises:
            DataError: the storage cannot be reached.
        """
        return max(self._remote.steps(), default=None) if self._remote else None

    def push(self, files: Iterable[Path] = (), inside: str = "") -> None:
        """Copy the newest checkpoint to the storage, if that lacks it, and further files of the run.

        Args:
            files: to copy.
            inside: folder of the run's storage for the files.

        Raises:
            DataError: the storage does not take them; they stay on this disk.
        """
        if not self._remote:
            return
        step = self.newest()
        if step is not None and step not in self._remote.steps():
            self._remote.upload(step, self._path(step), self._log_path)
        self._remote.upload_files(files, inside)

    def pull(self, report: Callable[[str], None] = lambda message: None, files: Iterable[Path] = ()) -> None:
        """Fetch the newest checkpoint from the storage, and the log, if it is newer than all on this disk.

        Args:
            report: called with a message about what was fetched, or is damaged.
            files: to replace by those of the storage then.

        Raises:
            DataError: the storage cannot be reached, or has damaged checkpoints alone.
        """
        if not self._remote:
            return
        complete = [step for step in self._steps() if self._is_complete(step)]
        newer = [step for step in self._remote.steps() if step > max(complete, default=0)]
        for step in reversed(newer):
            shutil.rmtree(self._path(step), ignore_errors=True)  # a damaged one
            try:
                self._remote.download(step, self._path(step), self._log_path)
            except DataError as error:
                if step == newer[0] and not complete:  # to start anew would throw work away
                    raise
                report(f"skipping the checkpoint of step {step}: {error}")
            else:
                self._remote.download_files(files)
                report(f"fetched the checkpoint of step {step} from {self._remote.url}")
                return

    @property
    def _log_path(self) -> Path:
        return self._folder.with_name(LOG)

    def _write(self, step: int, data: bytes) -> None:
        room = f"{len(data) / 1e6:.2f} MB for the checkpoint of step {step}"
        remedy = "free some and run again; earlier checkpoints are intact"
        with (
            explain_full_disk(self._folder, remedy, room=room, kind=TrainingError),
            create_folder(self._path(step)) as folder,
        ):
            write_atomic(folder / STATE, data)
            digest = sha256_file(folder / STATE)
            marker = {"step": step, "fingerprint": self._fingerprint, "sha256": digest}
            write_json_atomic(folder / MARKER, marker)
            shutil.rmtree(self._path(step), ignore_errors=True)  # a damaged one of the same step

    def newest(self, report: Callable[[str], None] = lambda message: None) -> int | None:
        """Step of the newest complete checkpoint; None if the run never wrote one.

        Args:
            report: called with a message if newer ones are damaged.

        Raises:
            CheckpointError: there are checkpoints, and all of them are damaged.
        """
        steps = self._steps()
        for step in reversed(steps):
            if self._is_complete(step):
                damaged = [str(other) for other in steps if other > step]
                if damaged:
                    report(
                        f"the checkpoint of step {', '.join(damaged)} in {self._folder} is damaged; resuming "
                        f"from step {step}"
                    )
                return step
        if steps:
            raise CheckpointError(
                f"expected a complete checkpoint in {self._folder}, found {len(steps)} damaged; "
                "delete that folder to train from the start"
            )
        return None

    def load(self, step: int) -> dict[str, Any]:
        """The state saved at ``step``, tensors on the CPU."""
        if not self._is_complete(step):
            raise CheckpointError(f"expected a complete checkpoint of step {step} in {self._folder}")
        state: dict[str, Any] = torch.load(self._path(step) / STATE, map_location="cpu", weights_only=True)
        return state

    def _path(self, step: int) -> Path:
        return self._folder / f"step-{step:08d}"

    def _steps(self) -> list[int]:
        # Other files there, such as a copy of a checkpoint, are not ours.
        names = (_NAME.fullmatch(path.name) for path in self._folder.glob("step-*"))
        return sorted(int(name[1]) for name in names if name)

    def _is_complete(self, step: int) -> bool:
        folder = self._path(step)
        try:
            marker = read_json(folder / MARKER)
            expected = (self._fingerprint, step, sha256_file(folder / STATE))
            return (marker["fingerprint"], marker["step"], marker["sha256"]) == expected
        except (OSError, ValueError, KeyError, TypeError):
            return False
