"""The order of calls, and the statistics."""

from collections.abc import Callable

import pytest
import torch

from benchmarks.cost import timing
from benchmarks.cost.timing import MIN_ROUNDS, against, interleave

CPU = torch.device("cpu")


class Clock:
    """A time that passes in calls alone."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def call_that_takes(self, seconds: float) -> Callable[[int], None]:
        """A variant whose calls take that long."""

        def call(number: int) -> None:
            self.now_s += seconds

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_variants_are_called_in_turn_each_with_the_same_numbers() -> None:
    calls: list[tuple[str, int]] = []
    variants = {name: lambda number, name=name: calls.append((name, number)) for name in "ab"}
    times = interleave(variants, device=CPU, rounds=2, warmup=1, budget_s=60)
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert {name: len(own) for name, own in times.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize(("budget_s", "rounds"), [(0.0, MIN_ROUNDS), (5.5, 6), (60.0, 50)])
def test_the_budget_ends_a_run_after_the_least_number_of_rounds(
    clock: Clock, budget_s: float, rounds: int
) -> None:
    variants = {"a": clock.call_that_takes(1.0)}
    times = interleave(variants, device=CPU, rounds=50, warmup=0, budget_s=budget_s)
    assert len(times["a"]) == rounds


def test_a_slow_variant_leaves_early_and_its_ratio_is_of_its_own_rounds(clock: Clock) -> None:
    variants = {"plain": clock.call_that_takes(0.002), "slow": clock.call_that_takes(0.02)}
    times = interleave(variants, device=CPU, rounds=6, warmup=0, budget_s=60)
    assert {name: len(own) for name, own in times.items()} == {"plain": 6, "slow": MIN_ROUNDS}
    slow = against(times)["slow"]
    assert (slow.rounds, slow.ratio) == (MIN_ROUNDS, pytest.approx(10))


def test_time_is_in_milliseconds(clock: Clock) -> None:
    variants = {"a": clock.call_that_takes(0.02)}
    times = interleave(variants, device=CPU, rounds=3, warmup=0, budget_s=60)
    assert times["a"] == pytest.approx([20, 20, 20])


def test_a_ratio_is_taken_within_its_round() -> None:
    times = {"plain": [1.0, 10.0, 100.0], "slow": [2.0, 20.0, 200.0]}
    slow = against(times)["slow"]
    assert (slow.median_ms, slow.ratio, slow.ratio_q1, slow.ratio_q3) == (20, 2, 2, 2)


def test_quartiles() -> None:
    times = {"plain": [1.0] * 5, "own": [1.0, 2.0, 3.0, 4.0, 5.0]}
    own = against(times)["own"]
    assert (own.ratio_q1, own.ratio, own.ratio_q3) == pytest.approx((2, 3, 4))
