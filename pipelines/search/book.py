"""Keeps the books of a search while it runs: orders, MLflow runs, what to show."""

import time
from pathlib import Path

from pipelines.core.progress import Display
from pipelines.data.photos import PhotoSet
from pipelines.running.run import Run
from pipelines.running.worker import Assignment
from pipelines.search.order import NOTE, Order
from pipelines.search.search import Search
from pipelines.search.trial_record import Objective, Point, TrialRecord
from pipelines.tracking.folder import RunFolder, Status
from pipelines.tracking.mirror import Mirror
from pipelines.training.log import append_line

STATUS: dict[str, Status] = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


class Book:
    """What a search knows of its trials, and does as they go; called by Tune's thread alone.

    Args:
        search: the search; the orders in its folder are known.
        objective: the first one.
        mirror: of the search.
    """

    def __init__(self, search: Search, objective: Objective, mirror: Mirror) -> None:
        self._search, self._objective, self._mirror = search, objective, mirror
        self._photos = PhotoSet.open(search.layout.prepare / "train")
        found = {note.parent: Order.read(note.parent) for note in search.folder.glob(f"trial-*/{NOTE}")}
        self._orders = dict(sorted(found.items(), key=lambda item: item[1].number))
        self._tracked: set[Path] = set()
        self._ended: dict[Path, TrialRecord] = {}
        self.display: Display | None = None

    @property
    def points(self) -> list[Point]:
        """All points so far, in the order of their trials."""
        return [order.point for order in self._orders.values()]

    def records(self) -> list[TrialRecord]:
        """What is known of every trial."""
        return [order.record() for order in self._orders.values()]

    def place(self, point: Point, seed: int) -> Order:
        """The order of a point and a seed, written down; one that is there keeps its number.

        How and where a run is computed is no part of what it is, so the order says it as it is now.

        Raises:
            ConfigError: the point cannot be trained.
            OSError: it cannot be written.
        """
        layout = self._search.layout
        config = self._search.trial(point, seed)
        run = Run.of(config, self._photos, layout)
        folder = self._search.folder / f"trial-{run.identity[:16]}"
        no_validation = self._search.folder / "none"  # scores take its place
        photos = layout.prepare / "train"
        assignment = Assignment.of(config, photos, no_validation, folder, run.identity, layout.root)
        known = self._orders.get(folder)
        number = known.number if known else len(self._orders) + 1
        order = Order(number=number, point=point, seed=seed, assignment=assignment)
        order.write()
        self._orders[folder] = order
        return order

    def started(self, folder: Path) -> None:
        """A trial begins, or begins again; one that is over only tells again what it knows."""
        if folder in self._tracked:
            return
        self._tracked.add(folder)
        if self._over(folder):
            self._mirror.follow(folder)
        else:
            self._track(folder)

    def _track(self, folder: Path) -> None:
        order = self._orders[folder]
        tags = {
            "stage": "search",
            "search": self._search.config.name,
            "fingerprint": order.assignment.fingerprint,
        }
        params = {**order.assignment.config, "point": dict(order.point)}
        self._mirror.add(folder, f"trial-{order.number}", params, tags)

    def ended(self, folder: Path, reason: str, *, pruned: bool) -> None:
        """A trial is over.

        Args:
            folder: of the trial.
            reason: why it failed; empty if it did not.
            pruned: whether it was stopped for a weak score.
        """
        order = self._orders[folder]
        if pruned:
            order.end("pruned", "")
        elif reason and not order.outcome().get("lasting"):
            order.end("failed", reason)
        record = order.record()
        if record.state == "failed" and self.display:
            self.display.say(f"search: trial {order.number} failed: {record.reason}")
        self._end(folder, record)
        if record.state != "unfinished":
            self._ended[folder] = record
            self._show()

    def close(self) -> None:
        """Whatever still is under way is not any more; trials that did not begin again are tracked too."""
        for folder, order in self._orders.items():
            self._end(folder, order.record())
            if folder not in self._tracked:
                self._mirror.follow(folder)

    def _end(self, folder: Path, record: TrialRecord) -> None:
        status = STATUS.get(record.state, "KILLED")
        if _told(folder) != status:  # or it would seem to have ended just now
            RunFolder(folder).end(status)

    def _over(self, folder: Path) -> bool:
        """Whether a trial's MLflow run was told an end that another try will not change."""
        status, lasting = _told(folder), self._orders[folder].outcome().get("lasting", False)
        return status == "FINISHED" or (status == "FAILED" and lasting)

    def _show(self) -> None:
        name = self._objective.name
        values = [r.measures[name] for r in self._ended.values() if r.state == "completed"]
        best = (max if self._objective.mode == "max" else min)(values) if values else None
        shown = {} if best is None else {name: best}
        if self.display:
            self.display.update(len(self._ended), facts={f"best {n}": f"{v:.4g}" for n, v in shown.items()})
        line = {"step": len(self._ended), "time_s": time.time(), "best": shown}
        append_line(self._search.folder / "log.jsonl", line)


def _told(folder: Path) -> Status | None:
    """What a trial's MLflow run was told last of how it stands; None if there is none."""
    plan = RunFolder(folder).plan()
    return plan.status if plan else None
