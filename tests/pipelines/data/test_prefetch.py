import threading
import time

import pytest

from pipelines.data.prefetch import Prefetcher
from pipelines.errors import DataError


def test_items_are_fetched_in_order_without_waiting() -> None:
    begin, fetched = threading.Event(), list[int]()

    def fetch(item: int) -> None:
        begin.wait(5)
        fetched.append(item)

    prefetcher = Prefetcher(fetch)
    began = time.monotonic()
    prefetcher([3, 1])
    assert time.monotonic() - began < 1
    begin.set()
    prefetcher.wait()
    assert fetched == [3, 1]


def test_what_was_asked_for_before_is_not_fetched_again() -> None:
    fetched = list[int]()
    prefetcher = Prefetcher(fetched.append)
    for items in ([1, 2], [1, 2], [2, 3]):
        prefetcher(items)
        prefetcher.wait()
    assert fetched == [1, 2, 3]


def test_what_is_no_longer_wanted_is_dropped() -> None:
    begin, fetched = threading.Event(), list[int]()

    def fetch(item: int) -> None:
        begin.wait(5)
        fetched.append(item)

    prefetcher = Prefetcher(fetch)
    prefetcher([1, 2, 3, 4])
    time.sleep(0.05)  # the first is under way
    prefetcher([4, 5])
    begin.set()
    prefetcher.wait()
    assert fetched == [1, 4, 5]


@pytest.mark.parametrize("error", [DataError("no network"), OSError("no disk"), RuntimeError("no thread")])
def test_a_failure_does_not_stop_the_others(error: Exception) -> None:
    fetched = list[int]()

    def fetch(item: int) -> None:
        if item == 1:
            raise error
        fetched.append(item)

    prefetcher = Prefetcher(fetch)
    prefetcher([1, 2])
    prefetcher.wait()
    assert fetched == [2]
