"""What a search knows of its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["completed", "pruned", "failed", "unfinished"]
"""How a trial ended: trained to the last step, stopped early for a weak score, by an error, or not yet."""

Point = Mapping[str, str | int | float | None]
"""Value of each axis by name; an axis that does not apply (another family's parameter) is missing."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search optimises.

    Attributes:
        name: of a measure.
        mode: whether larger or smaller is better.
    """

    name: str
    mode: Literal["max", "min"]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What is known of one trial.

    Attributes:
        number: in order of start.
        point: value of each axis by name; an axis that does not apply to it is missing.
        seed: of training.
        state: how it ended.
        step: of the last score; 0 without any.
        measures: name to value at that step; empty without any.
        settings: a mapping for each setting of the grid, ``{"omega": [...], "objectives": [...]}``: the
            setting and its normalised losses ``u_k`` to the K vertices; empty where a task has none.
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
