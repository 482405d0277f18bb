"""A trial: its spec, and its folder, which holds everything that is known about it.

``.state/search-<name>/trial-<16 digits of the run's fingerprint>``::

    trial.json     the spec: number, point, seed, and the run as workers get it
    log.jsonl      the loss curve; scores are lines of their own
    ended.json     how it ended, if not by its last step
    checkpoints/   samples/   as for any run
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock

from pipelines.core.records import read_json, write_json_atomic
from pipelines.measure.judge import Score
from pipelines.running.job import TrainJob
from pipelines.search.axes import Point
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog, append_line, read_lines

SPEC, OUTCOME = "trial.json", "ended.json"

State = Literal["completed", "pruned", "failed", "unfinished"]
"""How a trial ended: at its last step, stopped early for a weak score, by an error, or not yet."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A measure that a search optimizes.

    Attributes:
        name: of the measure.
        mode: whether larger or smaller is better.
    """

    name: str
    mode: Literal["max", "min"]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What is known of one trial.

    Attributes:
        number: in order of start.
        point: value of each axis by name.
        seed: of training.
        state: how it ended.
        step: of the last score; 0 without any.
        measures: name to value at that step; empty without any.
        settings: for each setting of the grid a mapping ``{"omega": [...], "objectives": [...]}``: the
            setting and its normalized losses ``u_k`` to the K vertices; empty for tasks without them.
        reason: why it failed; empty if it did not.
        seconds: of training.
        fingerprint: of the run.
        folder: of its state.
    """

    number: int
    point: Point
    seed: int
    state: State
    step: int
    measures: Mapping[str, float]
    settings: Sequence[Mapping[str, Any]]
    reason: str
    seconds: float
    fingerprint: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """What one trial trains.

    Attributes:
        number: in order of start.
        point: of the search space.
        seed: of training.
        job: the run, with the trial's folder.
        lineage: where it resumed under other versions of libraries, as in the record of a run.
    """

    number: int
    point: Point
    seed: int
    job: TrainJob
    lineage: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The spec in a trial's folder.

        Raises:
            OSError, ValueError: it is missing or damaged.
        """
        values = read_json(folder / SPEC)
        job = TrainJob.from_dict(values["assignment"])
        return cls(
            number=values["number"],
            point=dict(values["point"]),
            seed=values["seed"],
            job=job,
            lineage=values.get("lineage", ()),
        )

    def write(self) -> None:
        """Write it into the trial's folder."""
        pairs = list(self.point.items())  # keep the order of axes, which sorted JSON keys would lose
        values = {
            "number": self.number,
            "point": pairs,
            "seed": self.seed,
            "assignment": self.job.to_dict(),
            "lineage": list(self.lineage),
        }
        write_json_atomic(self.folder / SPEC, values)

    @property
    def folder(self) -> Path:
        """Of the trial."""
        return self.job.folder

    @property
    def config(self) -> TrainConfig:
        """Section ``train`` of the trial."""
        return self.job.config

    def lock(self) -> FileLock:
        """Held while the trial trains; a process left over by a killed driver releases it within moments."""
        return FileLock(self.folder / "trial.lock")

    def log_score(self, step: int, score: Score) -> None:
        """Append a score to the log."""
        line = {"step": step, "time_s": time.time(), **_plain_score(score)}
        append_line(self.folder / "log.jsonl", line)

    def scores(self) -> list[tuple[int, Score]]:
        """All scores by step; the last of a step counts."""
        return sorted(dict(_read_scores(self.folder / "log.jsonl")).items())

    def set_outcome(self, state: Literal["failed", "pruned"], reason: str, *, lasting: bool = False) -> None:
        """Record that the trial ended before its last step.

        Args:
            state: how it ended.
            reason: why.
            lasting: whether another attempt would end in the same way.
        """
        write_json_atomic(self.folder / OUTCOME, {"state": state, "reason": reason, "lasting": lasting})

    def clear_outcome(self) -> None:
        """Forget how an earlier attempt ended."""
        (self.folder / OUTCOME).unlink(missing_ok=True)

    def outcome(self) -> dict[str, Any]:
        """What :meth:`set_outcome` wrote, or empty."""
        path = self.folder / OUTCOME
        return dict(read_json(path)) if path.exists() else {}

    def record(self) -> TrialRecord:
        """Everything that is known of the trial."""
        config, scores, outcome = self.config, self.scores(), self.outcome()
        step, score = scores[-1] if scores else (0, Score(measures={}, settings=()))
        state: State = "completed" if step == config.steps else outcome.get("state", "unfinished")
        plain = _plain_score(score)
        return TrialRecord(
            number=self.number,
            point=self.point,
            seed=self.seed,
            state=state,
            step=step,
            measures=plain["score"],
            settings=plain["settings"],
            reason=outcome.get("reason", "") if state == "failed" else "",
            seconds=RunLog(self.folder).seconds(config.batch_size, config.steps),
            fingerprint=self.job.fingerprint,
            folder=self.folder,
        )


def find_trials(folder: Path) -> list[TrialSpec]:
    """The specs in the state folder of a search, by number."""
    specs = (TrialSpec.read(path.parent) for path in folder.glob(f"trial-*/{SPEC}"))
    return sorted(specs, key=lambda spec: spec.number)


def _plain_score(score: Score) -> dict[str, Any]:
    plain = score.plain()
    return {"score": plain["measures"], "settings": plain["settings"]}


def _read_scores(log: Path) -> Iterator[tuple[int, Score]]:
    for values in read_lines(log)[0]:
        try:
            score = Score.parse({"measures": values["score"], "settings": values["settings"]})
        except (ValueError, KeyError, TypeError):  # a point of the loss curve
            continue
        yield values["step"], score
