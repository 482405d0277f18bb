import fcntl
import hashlib
import multiprocessing
import os
import threading
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from full_disk import full
from pipelines.core.errors import DataError
from pipelines.data import cache as cache_module
from pipelines.data.cache import Prefetcher, ShardCache, cache_folder
from pipelines.data.index import Shard
from pipelines.data.remote import Remote
from waiting import UNREACHED_S, wait_until

SIZE = 1000

times_of_use = count(1_000_000_000)
"""In seconds: those that files get by themselves are coarse on some systems."""


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    (tmp_path / "remote").mkdir()
    return Remote((tmp_path / "remote").as_uri())


@pytest.fixture
def shards(tmp_path: Path, remote: Remote) -> list[Shard]:
    """Five shards of 1000 bytes; shard i is full of i."""
    shards = []
    for i in range(5):
        data = bytes([i]) * SIZE
        shards.append(Shard(sha256=hashlib.sha256(data).hexdigest(), nbytes=SIZE))
        (tmp_path / "remote" / shards[i].file).write_bytes(data)
    return shards


@pytest.fixture
def cache(tmp_path: Path) -> ShardCache:
    return ShardCache(3 * SIZE, tmp_path / "cache")


def kept(cache: ShardCache, shards: list[Shard]) -> list[int]:
    return [i for i, shard in enumerate(shards) if (cache.folder / shard.file).exists()]


def use(cache: ShardCache, shards: list[Shard], remote: Remote, *numbers: int) -> None:
    for i in numbers:
        assert cache.map_shard(shards[i], remote)[0] == i
        date_use(cache, shards[i])


def date_use(cache: ShardCache, shard: Shard) -> None:
    """Make this the last use of all."""
    now_s = next(times_of_use)
    os.utime(cache.folder / shard.file, (now_s, now_s))


def test_a_shard_is_fetched_once(
    cache: ShardCache, shards: list[Shard], remote: Remote, tmp_path: Path
) -> None:
    np.testing.assert_array_equal(cache.map_shard(shards[1], remote), np.full(SIZE, 1))
    (tmp_path / "remote" / shards[1].file).unlink()
    assert cache.map_shard(shards[1], remote)[7] == 1


def test_the_least_recently_used_goes_first(cache: ShardCache, shards: list[Shard], remote: Remote) -> None:
    use(cache, shards, remote, 0, 1, 2, 0)
    use(cache, shards, remote, 3)
    assert kept(cache, shards) == [0, 2, 3]
    use(cache, shards, remote, 4)
    assert kept(cache, shards) == [0, 3, 4]


def test_what_is_in_use_stays(cache: ShardCache, shards: list[Shard], remote: Remote) -> None:
    view = cache.map_shard(shards[0], remote)[5:10]
    date_use(cache, shards[0])
    use(cache, shards, remote, 1, 2, 3)
    assert 0 in kept(cache, shards)
    assert view.tolist() == [0] * 5
    del view
    use(cache, shards, remote, 1, 2, 4)
    assert 0 not in kept(cache, shards)


def test_a_cache_full_of_what_is_in_use_is_an_error(
    cache: ShardCache, shards: list[Shard], remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.data.cache.PATIENCE_S", 0.1)
    views = [cache.map_shard(shards[i], remote) for i in range(3)]
    with pytest.raises(DataError, match="cache_gb"):
        cache.map_shard(shards[3], remote)
    assert [view[0] for view in views] == [0, 1, 2]


class Patience:
    """The time of a cache that never has waited for long, and says that it waits."""

    def __init__(self, waits: Path) -> None:
        self._waits = waits

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, pause_s: float) -> None:
        self._waits.touch()
        time.sleep(pause_s)


@pytest.mark.slow
def test_it_waits_for_what_is_let_go(
    cache: ShardCache, shards: list[Shard], remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        cache.fetch(shards[i], remote)
    held, waits = tmp_path / "held", tmp_path / "waits"
    monkeypatch.setattr(cache_module, "time", Patience(waits))
    process = multiprocessing.get_context("spawn").Process(
        target=hold, args=(cache.folder, [s.file for s in shards[:3]], held, waits), daemon=True
    )
    process.start()
    try:
        wait_until(lambda: held.exists() or process.exitcode is not None)
        assert cache.map_shard(shards[3], remote)[0] == 3
        assert waits.exists()
    finally:
        waits.touch()
        process.join()
    assert len(kept(cache, shards)) == 3


def hold(folder: Path, names: list[str], held: Path, waits: Path) -> None:
    """Use those files until somebody waits for them."""
    files = [(folder / name).open("rb") for name in names]
    for file in files:
        fcntl.flock(file, fcntl.LOCK_SH)
    held.touch()
    wait_until(waits.exists)


def test_another_file_than_the_index_says_is_an_error(
    cache: ShardCache, shards: list[Shard], remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "remote" / shards[0].file).write_bytes(b"x" * SIZE)
    with pytest.raises(DataError, match=shards[0].sha256):
        cache.map_shard(shards[0], remote)
    assert [path for path in cache.folder.iterdir() if not path.name.endswith(".lock")] == []


def test_a_file_that_a_crash_cut_short_is_fetched_again(
    cache: ShardCache, shards: list[Shard], remote: Remote
) -> None:
    cache.fetch(shards[2], remote)
    os.truncate(cache.folder / shards[2].file, 10)
    assert cache.map_shard(shards[2], remote)[999] == 2


def test_what_a_killed_process_left_makes_room(
    cache: ShardCache, shards: list[Shard], remote: Remote
) -> None:
    cache.fetch(shards[0], remote)
    left = cache.folder / ".tmp-2500-dead"
    left.touch()
    cache.fetch(shards[1], remote)
    assert not left.exists()
    assert kept(cache, shards) == [0, 1]


def test_a_shard_takes_its_name_while_nobody_lists_the_folder(
    cache: ShardCache, shards: list[Shard], remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that missed both names would leave the shard out, and the cache would grow past its limit."""
    replace, listed = os.replace, []

    def replace_locked(source: Path, target: Path) -> None:
        try:
            with FileLock(cache.folder / ".evict.lock", timeout=0):
                listed.append(target)
        except Timeout:
            replace(source, target)

    monkeypatch.setattr("pipelines.data.cache.os.replace", replace_locked)
    cache.fetch(shards[0], remote)
    assert not listed
    assert kept(cache, shards) == [0]


def test_a_missing_shard_is_an_error(
    cache: ShardCache, shards: list[Shard], remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "remote" / shards[0].file).unlink()
    with pytest.raises(DataError, match="FileNotFoundError"):
        cache.map_shard(shards[0], remote)


@pytest.mark.parametrize(
    "step",
    ["pathlib.Path.mkdir", "pathlib.Path.open", "fsspec.implementations.local.LocalFileSystem.get_file"],
)
def test_a_full_disk_is_told(
    cache: ShardCache, shards: list[Shard], remote: Remote, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        with pytest.raises(
            DataError,
            match=r"train\.compute\.cache_gb",
        ):
            cache.fetch(shards[0], remote)
    cache.fetch(shards[0], remote)
    assert kept(cache, shards) == [0]


def test_a_folder_that_cannot_be_is_told(shards: list[Shard], remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ShardCache(3 * SIZE, tmp_path / "file" / "cache")
    with pytest.raises(DataError, match="NotADirectoryError"):
        cache.fetch(shards[0], remote)


@pytest.mark.slow
def test_processes_fetch_one_at_a_time(cache: ShardCache, shards: list[Shard], remote: Remote) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sums = pool.starmap(total, [(cache, shards, remote, seed) for seed in range(2)])
    assert sums == [sum(range(5)) * 4] * 2
    assert len(kept(cache, shards)) <= 3


def total(cache: ShardCache, shards: list[Shard], remote: Remote, seed: int) -> int:
    cache_module.PATIENCE_S = UNREACHED_S
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(5), 4))
    return sum(int(cache.map_shard(shards[i], remote)[-1]) for i in order)


def test_the_folder_is_chosen_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNABLE_CACHE", "~/here")
    assert cache_folder() == Path.home() / "here"
    monkeypatch.delenv("TUNABLE_CACHE")
    assert cache_folder().name == "shards"


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
    prefetcher.request([3, 1])  # would not return if it waited
    fetcher.may_fetch.set()
    prefetcher.wait()
    assert fetcher.fetched == [3, 1]


def test_what_was_asked_for_before_is_not_fetched_again() -> None:
    fetched = list[int]()
    prefetcher = Prefetcher(fetched.append)
    for items in ([1, 2], [1, 2], [2, 3]):
        prefetcher.request(items)
        prefetcher.wait()
    assert fetched == [1, 2, 3]


def test_what_is_no_longer_wanted_is_dropped() -> None:
    fetcher = Fetcher()
    prefetcher = Prefetcher(fetcher)
    prefetcher.request([1, 2, 3, 4])
    fetcher.begun.wait()  # the first is under way
    prefetcher.request([4, 5])
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
    prefetcher.request([1, 2])
    prefetcher.wait()
    assert fetched == [2]
