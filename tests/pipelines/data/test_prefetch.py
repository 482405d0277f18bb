import threading

import pytest

from pipelines.core.errors import DataError
from pipelines.data.prefetch import Prefetcher


class Fetcher:
    """Fetches nothing before it may, and says what it has begun and what it has fetched."""

    def __init__(self) -> None:
        self.begun, self.may_fetch = threading.Event(), threading.Event()
        self.fetched = list[int]()

    def __call__(self, item: int) -> None:
        self.begun.set()
        self.may_fetch.wait()
        self.fetched.append(item)


def test_items_are_fetched_in_order_without_waiting() -> None:
    fetcher = Fetcher()
    prefetcher = Prefetcher(fetcher)
    prefetcher([3, 1])  # would not return if it waited
    fetcher.may_fetch.set()
    prefetcher.wait()
    assert fetcher.fetched == [3, 1]


def test_what_was_asked_for_before_is_not_fetched_again() -> None:
    fetched = list[int]()
    prefetcher = Prefetcher(fetched.append)
    for items in ([1, 2], [1, 2], [2, 3]):
        prefetcher(items)
        prefetcher.wait()
    assert fetched == [1, 2, 3]


def test_what_is_no_longer_wanted_is_dropped() -> None:
    fetcher = Fetcher()
    prefetcher = Prefetcher(fetcher)
    prefetcher([1, 2, 3, 4])
    fetcher.begun.wait()  # the first is under way
    prefetcher([4, 5])
    fetcher.may_fetch.set()
    prefetcher.wait()
    assert fetcher.fetched == [1, 4, 5]


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
