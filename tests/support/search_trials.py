"""Made-up trials of a search."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.search.axes import Point
from pipelines.search.trial import Objective, State, TrialRecord

VOLUME = Objective(name="hypervolume", mode="max")
GAP = Objective(name="specialist_gap_mean", mode="min")


def trial(
    number: int,
    point: Point,
    value: float | Mapping[str, float] | None = 0.5,
    *,
    seed: int = 0,
    state: State = "completed",
    reason: str = "",
    settings: Sequence[Mapping[str, Any]] = (),
    seconds: float = 60.0,
) -> TrialRecord:
    """One trial; a single value is its hypervolume, None leaves it without a score."""
    measures = {VOLUME.name: value} if isinstance(value, (int, float)) else dict(value or {})
    return TrialRecord(
        number=number,
        point=point,
        seed=seed,
        state=state,
        step=200 if measures else 0,
        measures=measures,
        settings=settings,
        reason=reason,
        seconds=seconds,
        fingerprint=f"{number:08x}",
        folder=Path("trials") / str(number),
    )


def search(count: int, seeds: int = 2, vertices: int = 4) -> list[TrialRecord]:
    """A search like a real one: families with their own options, a failure, pruned trials; two objectives, in
    which the learning rate matters most and the basis not at all.
    """
    random = np.random.default_rng(0)
    points = [_point(random) for _ in range(count)]
    records = [_scored(random, points, number, seeds, vertices) for number in range(count * seeds)]
    last = len(records)
    failed = trial(last, points[0] | {"lr": 0.5}, None, state="failed", reason="the loss is nan at step 20")
    pruned = trial(last + 1, points[0] | {"lr": 0.1}, 0.01, state="pruned")
    return [*records, failed, pruned]


def _point(random: np.random.Generator) -> dict[str, str | int | float | None]:
    family = ("uniform", "dirichlet", "beta", "truncated-normal")[random.integers(4)]
    options = {"dirichlet": ("alpha",), "beta": ("a", "b")}.get(family, ())
    return {
        "distribution": family,
        **{f"{family}.{name}": round(float(random.uniform(0.1, 2.0)), 3) for name in options},
        "group": (1, 4, "batch")[random.integers(3)],
        "basis": ("delta", "multilinear")[random.integers(2)],
        "rank": (None, 4, 8)[random.integers(3)],
        "lr": float(10 ** random.uniform(-4, -2)),
    }


def _scored(
    random: np.random.Generator,
    points: Sequence[dict[str, str | int | float | None]],
    number: int,
    seeds: int,
    vertices: int,
) -> TrialRecord:
    point = points[number // seeds]
    rate = np.log10(float(point["lr"] or 0)) + 3
    shift = {"dirichlet": 0.03, "beta": 0.02}.get(str(point["distribution"]), 0.0)
    volume = 0.55 - 0.1 * rate**2 + shift + 0.01 * float(random.normal())
    gap = 0.2 + 0.15 * (rate - 0.8) ** 2 + 0.02 * float(random.normal())
    base = 0.75 - volume / 2
    return trial(
        number,
        point,
        {VOLUME.name: volume, GAP.name: gap, "violations": max(0.0, gap - 0.3)},
        seed=number % seeds,
        settings=[_setting(random, omega, base, vertices) for omega in np.ndindex(3, 3)],
        seconds=float(random.uniform(50, 70)),
    )


def _setting(
    random: np.random.Generator, omega: tuple[int, ...], base: float, vertices: int
) -> dict[str, list[float]]:
    ends = [(0, 0), (2, 0), (0, 2), (2, 2)][:vertices]
    far = [float(np.hypot(omega[0] - a, omega[1] - b)) / 2.83 for a, b in ends]
    return {
        "omega": [index / 2 for index in omega],
        "objectives": [base * (0.4 + 0.6 * f) + 0.01 * float(random.normal()) for f in far],
    }
