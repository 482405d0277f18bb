"""An order to train one trial, and the trial's folder, which holds all that is known of it.

``.state/search-<name>/trial-<16 digits of the run's fingerprint>``::

    trial.json     the order: number, point, seed, and the run as workers get it
    log.jsonl      the loss curve; scores are lines of their own
    ended.json     how it ended, where that is not the last step
    checkpoints/   samples/   as of any run
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock

from pipelines.core.config import parse_section
from pipelines.core.records import read_json, write_json_atomic
from pipelines.running.worker import Assignment
from pipelines.search.scoring.score import Score
from pipelines.search.trial_record import Point, State, TrialRecord
from pipelines.training.config import TrainConfig
from pipelines.training.log import RunLog, append_line

NOTE, OUTCOME = "trial.json", "ended.json"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one trial trains.

    Attributes:
        number: in order of start.
        point: of the search space.
        seed: of training.
        assignment: the run, with the trial's folder.
    """

    number: int
    point: Point
    seed: int
    assignment: Assignment

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The order in a trial's folder.

        Raises:
            OSError, ValueError: there is none, or it is damaged.
        """
        values = read_json(folder / NOTE)
        point, assignment = dict(values["point"]), Assignment(**values["assignment"])
        return cls(**{**values, "point": point, "assignment": assignment})

    def write(self) -> None:
        """Put it into the trial's folder."""
        pairs = list(self.point.items())  # whose order tables keep, and JSON would not
        write_json_atomic(self.folder / NOTE, asdict(self) | {"point": pairs})

    @property
    def folder(self) -> Path:
        """Of the trial."""
        return Path(self.assignment.folder)

    @property
    def config(self) -> TrainConfig:
        """Section ``train`` as the trial has it."""
        return parse_section(self.assignment.config, "train", TrainConfig)

    def alone(self) -> FileLock:
        """Held while it is trained: whoever a killed driver left behind ends a moment later."""
        return FileLock(self.folder / "trial.lock")

    def note_score(self, step: int, score: Score) -> None:
        """Add a score to the log."""
        line = {"step": step, "time_s": time.time(), **_score_line(score)}
        append_line(self.folder / "log.jsonl", line)

    def scores(self) -> list[tuple[int, Score]]:
        """All scores by step; the last of a step counts."""
        return sorted(dict(_scores(self.folder / "log.jsonl")).items())

    def end(self, state: Literal["failed", "pruned"], reason: str, *, lasting: bool = False) -> None:
        """Write down that it ended before its last step.

        Args:
            state: how.
            reason: why.
            lasting: whether another try would end in the same way.
        """
        write_json_atomic(self.folder / OUTCOME, {"state": state, "reason": reason, "lasting": lasting})

    def begin(self) -> None:
        """Forget how an earlier try ended."""
        (self.folder / OUTCOME).unlink(missing_ok=True)

    def outcome(self) -> dict[str, Any]:
        """What :meth:`end` wrote; empty if nothing."""
        path = self.folder / OUTCOME
        return dict(read_json(path)) if path.exists() else {}

    def record(self) -> TrialRecord:
        """All that is known of the trial."""
        config, scores, outcome = self.config, self.scores(), self.outcome()
        step, score = scores[-1] if scores else (0, Score(measures={}, settings=()))
        state: State = "completed" if step == config.steps else outcome.get("state", "unfinished")
        plain = _score_line(score)
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
            fingerprint=self.assignment.fingerprint,
            folder=self.folder,
        )


def _score_line(score: Score) -> dict[str, Any]:
    plain = score.plain()
    return {"score": plain["measures"], "settings": plain["settings"]}


def _scores(log: Path) -> Iterator[tuple[int, Score]]:
    if not log.exists():
        return
    for line in log.read_bytes().splitlines():
        try:
            values = json.loads(line)
            score = Score.parse({"measures": values["score"], "settings": values["settings"]})
        except (ValueError, KeyError, TypeError):  # a point of the curve, or half a line of a killed writer
            continue
        yield values["step"], score
