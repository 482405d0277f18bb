"""Timing several variants in turn, so that whatever slows the machine for a while slows them all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Call = Callable[[int], object]
"""One timed call; the number says which omega of the stream is its own."""


@dataclass(frozen=True)
class Timing:
    """One variant against the reference.

    Attributes:
        median_ms: of its own calls.
        ratio: median over the rounds of its time over the reference's in the same round.
        ratio_q1: lower quartile of those ratios.
        ratio_q3: upper quartile.
        rounds: how many.
    """

    median_ms: float
    ratio: float
    ratio_q1: float
    ratio_q3: float
    rounds: int


def interleave(
    variants: Mapping[str, Call], *, device: torch.device, rounds: int, warmup: int, budget_s: float
) -> dict[str, list[float]]:
    """Milliseconds of every call: A, B, C, A, B, C and so on.

    The first variant is the reference. Others that turn out several times slower leave the turns early:
    no limit is near them, and the rest gets more rounds in the same time.

    Args:
        variants: what to time, by name.
        device: where the work is done; a GPU is timed with its own events.
        rounds: at most; each calls every variant once.
        warmup: rounds before, not counted.
        budget_s: no further round is begun after this many seconds, ``MIN_ROUNDS`` excepted.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    began, turns = time.perf_counter(), dict(variants)
    for number in range(-warmup, rounds):
        if number >= MIN_ROUNDS and time.perf_counter() - began > budget_s:
            break
        if number == MIN_ROUNDS:
            turns = {name: turns[name] for name, timing in against(times).items() if timing.ratio < SLOW}
        for name, call in turns.items():
            elapsed = _timed(call, number + warmup, device)
            if number >= 0:
                times[name].append(elapsed)
    return times


MIN_ROUNDS = 3
SLOW = 2.5
"""Ratio from which a variant is called in ``MIN_ROUNDS`` rounds only."""


def against(times: Mapping[str, list[float]]) -> dict[str, Timing]:
    """Every variant against the first one, round by round."""
    reference = next(iter(times.values()))
    return {name: _timing(own, reference) for name, own in times.items()}


def _timing(own: list[float], reference: list[float]) -> Timing:
    # A variant that left its turns early is compared with the rounds that it was in.
    ratios = [mine / plain for mine, plain in zip(own, reference, strict=False)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Timing(statistics.median(own), middle, low, high, len(own))


def _timed(call: Call, number: int, device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        call(number)
        return 1e3 * (time.perf_counter() - start)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)
    first.record()
    call(number)
    last.record()
    torch.cuda.synchronize(device)
    return float(first.elapsed_time(last))
