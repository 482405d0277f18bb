"""Store of a search's trials while it runs: their specs, their MLflow runs, and the progress display."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.core.errors import CheckpointError
from pipelines.core.progress import Display
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import changed_versions, describe_versions
from pipelines.running.job import TrainJob
from pipelines.running.run import Run
from pipelines.search.axes import Point
from pipelines.search.search import Search
from pipelines.search.trial import Objective, TrialRecord, TrialSpec, find_trials
from pipelines.tracking.run_folder import RunFolder, Status
from pipelines.tracking.sync import RunSync
from pipelines.training.log import append_line

STATUS: dict[str, Status] = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}

_log = logging.getLogger(__name__)


class TrialStore:
    """The trials of a search; only Tune's thread calls it.

    Args:
        search: the search; trials in its folder are known.
        objective: the first one.
        sync: uploads the run folders to MLflow.
    """

    def __init__(self, search: Search, objective: Objective, sync: RunSync) -> None:
        self._search, self._objective, self._sync = search, objective, sync
        self._photos = PhotoSet.open(search.layout.prepare / "train")
        self._specs = {spec.folder: spec for spec in find_trials(search.folder)}
        self._tracked: set[Path] = set()
        self._ended: dict[Path, TrialRecord] = {}
        self.display: Display | None = None

    @property
    def points(self) -> list[Point]:
        """All points so far, in the order of their trials."""
        return [spec.point for spec in self._specs.values()]

    def records(self) -> list[TrialRecord]:
        """What is known of every trial."""
        return [spec.record() for spec in self._specs.values()]

    def add(self, point: Point, seed: int) -> TrialSpec:
        """Write the spec of a point and a seed; a known trial keeps its number.

        A known spec is renewed, as compute options are not part of a trial's identity.

        Raises:
            ConfigError: the point cannot be trained.
            OSError: it cannot be written.
        """
        layout = self._search.layout
        config = self._search.trial_config(point, seed)
        run = Run.of(config, self._photos, layout)
        folder = self._search.folder / f"trial-{run.identity[:16]}"
        no_validation = self._search.folder / "none"  # scores replace it
        job = replace(run.make_job(config, layout), folder=folder, validation=no_validation)
        known = self._specs.get(folder)
        number = known.number if known else len(self._specs) + 1
        lineage = _continue_lineage(known, job) if known else ()
        spec = TrialSpec(number=number, point=point, seed=seed, job=job, lineage=lineage)
        spec.write()
        self._specs[folder] = spec
        return spec

    def on_start(self, folder: Path) -> None:
        """Track a trial that starts, or starts again; one that is over is only sent completely."""
        if folder in self._tracked:
            return
        self._tracked.add(folder)
        if self._is_over(folder):
            self._sync.follow(folder)
            return
        spec = self._specs[folder]
        tags = {
            "stage": "search",
            "search": self._search.config.name,
            "fingerprint": spec.job.fingerprint,
        }
        params = {**spec.config.model_dump(mode="json"), "point": dict(spec.point)}
        self._sync.add(folder, f"trial-{spec.number}", params, tags)

    def on_end(self, folder: Path, reason: str, *, pruned: bool) -> None:
        """Record the end of a trial.

        Args:
            folder: of the trial.
            reason: why it failed; empty if it did not.
            pruned: whether it was stopped for a weak score.
        """
        spec = self._specs[folder]
        if pruned:
            spec.set_outcome("pruned", "")
        elif reason and not spec.outcome().get("lasting"):
            spec.set_outcome("failed", reason)
        record = spec.record()
        if record.state == "failed":
            _log.warning("search: trial %d failed: %s", spec.number, record.reason)
        self._set_status(folder, record)
        if record.state != "unfinished":
            self._ended[folder] = record
            self._show_progress()

    def close(self) -> None:
        """End the MLflow runs of all trials, those that did not start again included."""
        for folder, spec in self._specs.items():
            self._set_status(folder, spec.record())
            if folder not in self._tracked:
                self._sync.follow(folder)

    def _set_status(self, folder: Path, record: TrialRecord) -> None:
        status = STATUS.get(record.state, "KILLED")
        if _read_status(folder) != status:  # an equal one would only move the end time
            RunFolder(folder).end(status)

    def _is_over(self, folder: Path) -> bool:
        """Whether a trial's MLflow run has ended in a way that another attempt will not change."""
        status, lasting = _read_status(folder), self._specs[folder].outcome().get("lasting", False)
        return status == "FINISHED" or (status == "FAILED" and lasting)

    def _show_progress(self) -> None:
        name = self._objective.name
        values = [r.measures[name] for r in self._ended.values() if r.state == "completed"]
        pick = max if self._objective.mode == "max" else min
        best = {name: pick(values)} if values else {}
        if self.display:
            self.display.update(len(self._ended), facts={f"best {n}": f"{v:.4g}" for n, v in best.items()})
        line = {"step": len(self._ended), "time_s": time.time(), "best": best}
        append_line(self._search.folder / "log.jsonl", line)


def _continue_lineage(known: TrialSpec, job: TrainJob) -> Sequence[Mapping[str, Any]]:
    """The lineage of a trial that starts again; a resumption under other versions is added, and logged."""
    changed = changed_versions(known.job.versions, job.versions)
    if not changed or known.record().state == "completed":
        return known.lineage
    try:
        step = job.store.newest()
    except CheckpointError:  # which the trial reports
        step = None
    if step is None:
        return known.lineage
    under = describe_versions(changed)
    _log.warning(
        "search: trial %d resumes from step %d with %s: numbers may differ", known.number, step, under
    )
    return [*known.lineage, {"fingerprint": job.fingerprint, "step": step, "versions": changed}]


def _read_status(folder: Path) -> Status | None:
    """The last status of a trial's MLflow run; None without a run."""
    plan = RunFolder(folder).plan()
    return plan.status if plan else None
