"""The order of calls, and the statistics."""

import time

import pytest
import torch

from benchmarks.cost.timing import MIN_ROUNDS, against, interleave

CPU = torch.device("cpu")


def test_variants_are_called_in_turn_each_with_the_same_numbers() -> None:
    calls: list[tuple[str, int]] = []
    variants = {name: lambda number, name=name: calls.append((name, number)) for name in "ab"}
    times = interleave(variants, device=CPU, rounds=2, warmup=1, budget_s=60)
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert {name: len(own) for name, own in times.items()} == {"a": 2, "b": 2}


def test_the_budget_ends_a_run_after_the_least_number_of_rounds() -> None:
    times = interleave({"a": lambda _: None}, device=CPU, rounds=50, warmup=0, budget_s=0)
    assert len(times["a"]) == MIN_ROUNDS


def test_a_slow_variant_leaves_early_and_its_ratio_is_of_its_own_rounds() -> None:
    variants = {"plain": lambda _: time.sleep(0.002), "slow": lambda _: time.sleep(0.02)}
    times = interleave(variants, device=CPU, rounds=6, warmup=0, budget_s=60)
    assert {name: len(own) for name, own in times.items()} == {"plain": 6, "slow": MIN_ROUNDS}
    assert against(times)["slow"].rounds == MIN_ROUNDS


def test_time_is_in_milliseconds() -> None:
    times = interleave({"a": lambda _: time.sleep(0.02)}, device=CPU, rounds=3, warmup=0, budget_s=60)
    assert min(times["a"]) >= 20


def test_a_ratio_is_taken_within_its_round() -> None:
    times = {"plain": [1.0, 10.0, 100.0], "slow": [2.0, 20.0, 200.0]}
    slow = against(times)["slow"]
    assert (slow.median_ms, slow.ratio, slow.ratio_q1, slow.ratio_q3) == (20, 2, 2, 2)


def test_quartiles() -> None:
    times = {"plain": [1.0] * 5, "own": [1.0, 2.0, 3.0, 4.0, 5.0]}
    own = against(times)["own"]
    assert (own.ratio_q1, own.ratio, own.ratio_q3) == pytest.approx((2, 3, 4))
