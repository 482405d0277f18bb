import pickle
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.errors import DataError
from pipelines.data.order import Order
from pipelines.data.photos import write_photos

SHARDS = [3, 3, 7, 7, 7, 8, 8, 9, 9, 9]  # numbers may have gaps
EQUAL = [100] * len(SHARDS)


def epoch(order: Order, number: int = 0) -> list[int]:
    return [order(number * len(order) + position) for position in range(len(order))]


@given(st.lists(st.integers(1, 10**8), min_size=1, max_size=40), st.integers(0, 2**63 - 1), st.integers(0, 9))
@settings(max_examples=60)
def test_each_photograph_comes_within_one_draw_of_its_share(
    pixels: list[int], seed: int, number: int
) -> None:
    counts = Counter(epoch(Order(pixels, [0] * len(pixels), seed), number))
    for index, size in enumerate(pixels):
        expected = len(pixels) * size / sum(pixels)
        assert abs(counts[index] - expected) < 1 + 1e-6
    assert set(counts) <= set(range(len(pixels)))


@pytest.mark.parametrize("window", [None, 1, 2, 3, 9])
def test_photographs_of_one_size_come_once_an_epoch(window: int | None) -> None:
    order = Order(EQUAL, SHARDS, seed=1, window=window)
    assert [sorted(epoch(order, number)) for number in range(3)] == [list(range(10))] * 3


def test_over_many_epochs_the_share_is_exact() -> None:
    pixels = [1, 2, 3, 4]
    order = Order(pixels, [0] * 4, seed=0)
    counts = Counter(order(n) for n in range(4 * 2000))
    assert [counts[i] / 8000 for i in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)


@pytest.mark.parametrize("window", [None, 2])
def test_a_sample_depends_on_its_number_alone(window: int | None) -> None:
    forward = [Order(EQUAL, SHARDS, 5, window)(n) for n in range(40)]
    order = Order(EQUAL, SHARDS, 5, window)
    assert [order(n) for n in reversed(range(40))] == forward[::-1]
    assert [pickle.loads(pickle.dumps(order))(n) for n in (39, 0, 17)] == [
        forward[39],
        forward[0],
        forward[17],
    ]


def test_the_order_is_the_same_on_every_machine_and_version() -> None:
    assert epoch(Order(EQUAL, SHARDS, seed=0)) == [0, 3, 9, 1, 5, 8, 6, 2, 4, 7]


@pytest.mark.parametrize("window", [None, 2])
def test_epochs_and_seeds_differ(window: int | None) -> None:
    orders = [Order([100] * 50, [i // 10 for i in range(50)], seed, window) for seed in (0, 1)]
    seen = {tuple(epoch(order, number)) for order in orders for number in range(3)}
    assert len(seen) == 6


@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_window_holds_so_many_shards_and_no_more(window: int) -> None:
    shards = [i // 5 for i in range(35)]
    order = Order([100] * 35, shards, seed=2, window=window)
    for number in range(3):
        visited = [shards[photo] for photo in epoch(order, number)]
        for start in range(0, 35, 5 * window):
            assert len(set(visited[start : start + 5 * window])) == min(window, (35 - start) // 5)


def test_a_window_mixes_its_shards() -> None:
    shards = [i // 50 for i in range(200)]
    order = Order([100] * 200, shards, seed=0, window=2)
    first = [shards[photo] for photo in epoch(order)[:100]]
    changes = sum(a != b for a, b in pairwise(first))
    assert changes > 30


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 6)), min_size=1, max_size=30), st.integers(1, 8)
)
@settings(max_examples=60)
def test_what_is_upcoming_holds_the_next_samples(photos: list[tuple[int, int]], window: int) -> None:
    pixels, shards = [size for size, _ in photos], [shard for _, shard in photos]
    order = Order(pixels, shards, seed=3, window=window)
    for n in range(3 * len(order)):
        upcoming = order.upcoming(n)
        assert shards[order(n)] in upcoming[:window]
        assert len(upcoming) == len(set(upcoming)) <= 2 * window
        assert set(upcoming) <= set(shards)


def test_after_an_epoch_comes_the_first_window_of_the_next() -> None:
    order = Order(EQUAL, SHARDS, seed=0, window=2)
    assert set(order.upcoming(10)[:2]) <= set(order.upcoming(9))


def test_nothing_is_upcoming_without_a_window() -> None:
    assert Order(EQUAL, SHARDS, seed=0).upcoming(3) == ()


def test_the_order_of_a_set(paint: Any, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "set", [("small", paint(0, 8, 8)), ("large", paint(1, 40, 40))])
    counts = Counter(Order.of(photos, seed=0)(n) for n in range(1000))
    assert counts[0] / 1000 == pytest.approx(64 / 1664, abs=0.01)


def test_half_a_million_photographs_are_quickly_in_order() -> None:
    count = 500_000
    order = Order(np.full(count, 100).tolist(), (np.arange(count) // 500).tolist(), seed=0, window=8)
    assert len({order(n) for n in range(10_000)}) == 10_000


def test_no_photographs_are_an_error() -> None:
    with pytest.raises(DataError, match="got none"):
        Order([], [], seed=0)


def test_an_empty_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="got 0"):
        Order(EQUAL, SHARDS, seed=0, window=0)
