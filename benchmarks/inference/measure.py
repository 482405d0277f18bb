"""Times of calls that take turns: wall clock, and CPU time of all threads."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.cost.timing import Call

WARM_UP = 2
"""Rounds before, not counted: memory is taken and kernels are chosen in the first."""


def measure(variants: Mapping[str, Call], rounds: int) -> list[dict[str, Any]]:
    """A row each, medians over the rounds; ratios are to the first variant in the same round.

    Args:
        variants: what to time, by name.
        rounds: each calls every variant once, every other one backwards, against drifts.
    """
    wall: dict[str, list[float]] = {name: [] for name in variants}
    cpu: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-WARM_UP, rounds):
        for name in list(variants)[:: 1 if number % 2 else -1]:
            began = time.perf_counter(), time.process_time()
            variants[name](number)
            ended = time.perf_counter(), time.process_time()
            if number >= 0:
                wall[name].append(1e3 * (ended[0] - began[0]))
                cpu[name].append(1e3 * (ended[1] - began[1]))
    reference = cpu[next(iter(variants))]
    return [
        {
            "engine": name,
            "wall_ms": round(statistics.median(wall[name]), 2),
            "cpu_ms": round(statistics.median(cpu[name]), 2),
            "times_as_fast": round(_median_ratio(reference, cpu[name]), 3),
        }
        for name in variants
    ]


def _median_ratio(reference: list[float], own: list[float]) -> float:
    return statistics.median(first / mine for first, mine in zip(reference, own, strict=True))
