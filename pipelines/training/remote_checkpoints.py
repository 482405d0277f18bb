"""Copies of a run's checkpoints at a URL, from which any machine can resume.

Below ``<train.compute.storage>/train-<16 digits>``::

    run.json                                what identifies the run, and the versions it ran under
    log.jsonl                               the loss curve, at least up to the newest checkpoint
    step-00000200/state-<16 digits>.pt      named after its SHA-256
    step-00000200/complete.json             written last, with the SHA-256 of the state
    artifacts/                              what the stage left when the run was complete

Object storage knows no renaming, so that the marker alone says that a checkpoint is complete. Two machines
that train one run cannot mix theirs: a marker names its own state.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.core.errors import DataError
from pipelines.core.records import read_json, sha256_file, write_atomic, write_json_atomic
from pipelines.data.remote import Remote
from pipelines.training.log import LOG, append_missing_lines
from zoo.durable import create_folder

STATE, MARKER = "state.pt", "complete.json"

_MARKER = re.compile(rf"step-(\d{{8,}})/{re.escape(MARKER)}")


@dataclass(frozen=True)
class RemoteCheckpoints:
    """The checkpoints of one run at a URL.

    Every method raises DataError, with the URL and the reason, if the storage cannot be reached or refuses.

    Attributes:
        url: of the run.
        fingerprint: of the run.
        keep: how many of the newest stay.
    """

    url: str
    fingerprint: str
    keep: int

    def steps(self) -> list[int]:
        """Steps with a marker, in order."""
        found = (_MARKER.fullmatch(name) for name in self._remote.list_files(missing_ok=True))
        return sorted(int(match[1]) for match in found if match)

    def upload(self, step: int, folder: Path, log: Path) -> None:
        """Copy a complete checkpoint and the log, the marker last; then drop the oldest.

        Args:
            step: of the checkpoint.
            folder: of the checkpoint.
            log: of the run, which need not exist.
        """
        marker = read_json(folder / MARKER)
        self._remote.upload(folder / STATE, self._state_name(step, marker["sha256"]))
        if log.exists():
            self._remote.upload(log, LOG)
        self._remote.upload(folder / MARKER, f"{_name(step)}/{MARKER}")
        for old in self.steps()[: -self.keep]:
            self._remove(old)

    def download(self, step: int, folder: Path, log: Path) -> None:
        """Copy a checkpoint to a folder that does not exist, and append what the local log lacks.

        Raises:
            DataError: also if it is another run's, or damaged.
        """
        marker = self._read_marker(step)
        with create_folder(folder) as partial:
            self._remote.download(self._state_name(step, marker["sha256"]), partial / STATE)
            if (got := sha256_file(partial / STATE)) != marker["sha256"]:
                raise DataError(
                    f"expected SHA-256 {marker['sha256']} of step {step} in {self.url}, got {got}"
                )
            write_json_atomic(partial / MARKER, marker)
            if self._remote.nbytes(LOG) is not None:
                append_missing_lines(log, self._remote.read(LOG))

    def upload_files(self, files: Iterable[Path], inside: str = "") -> None:
        """Copy files into a folder of the run."""
        for file in files:
            self._remote.upload(file, f"{inside}/{file.name}" if inside else file.name)

    def download_files(self, files: Iterable[Path]) -> None:
        """Replace files by those of the same names, where there are such."""
        for file in files:
            if self._remote.nbytes(file.name) is not None:
                write_atomic(file, self._remote.read(file.name))

    @property
    def _remote(self) -> Remote:
        return Remote(self.url)

    def _state_name(self, step: int, sha256: str) -> str:
        return f"{_name(step)}/state-{sha256[:16]}.pt"

    def _read_marker(self, step: int) -> dict[str, Any]:
        try:
            marker = json.loads(self._remote.read(f"{_name(step)}/{MARKER}"))
            if (marker["step"], marker["fingerprint"]) == (step, self.fingerprint) and marker["sha256"]:
                return dict(marker)
        except (ValueError, KeyError, TypeError):
            pass
        raise self._unusable_error(step, "a marker of something else")

    def _unusable_error(self, step: int, reason: str) -> DataError:
        return DataError(
            f"expected a complete checkpoint of step {step} of this run in {self.url}, got {reason}; "
            "remove it there, or name another train.compute.storage"
        )

    def _remove(self, step: int) -> None:
        names = [name for name in self._remote.list_files() if name.startswith(f"{_name(step)}/")]
        for name in sorted(names, key=lambda name: not name.endswith(MARKER)):  # the marker first
            self._remote.remove(name)


def _name(step: int) -> str:
    return f"step-{step:08d}"
