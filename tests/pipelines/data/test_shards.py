from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.data.shards import ShardWriter


def files(folder: Path) -> list[int]:
    return sorted(path.stat().st_size for path in folder.iterdir())


def test_a_shard_closes_before_it_grows_too_large(tmp_path: Path, paint: Any) -> None:
    writer = ShardWriter(tmp_path, shard_bytes=600)
    for i in range(5):
        writer.add(str(i), paint(i, 10, 10))
    index = writer.finish()
    assert [photo.shard for photo in index.photos] == [0, 0, 1, 1, 2]
    assert [photo.offset for photo in index.photos] == [0, 300, 0, 300, 0]
    assert files(tmp_path) == [300, 600, 600]


def test_a_large_photograph_fills_a_shard_alone(tmp_path: Path, paint: Any) -> None:
    writer = ShardWriter(tmp_path, shard_bytes=600)
    for i, size in enumerate([10, 30, 10]):
        writer.add(str(i), paint(i, size, 10))
    assert [shard.nbytes for shard in writer.finish().shards] == [300, 900, 300]


def test_on_the_way_to_a_url_one_shard_at_a_time_lies_here(tmp_path: Path, paint: Any) -> None:
    memory = fsspec.filesystem("memory")
    writer = ShardWriter(tmp_path, shard_bytes=600, base="memory://shards/deep")
    for i in range(9):
        writer.add(str(i), paint(i, 10, 10))
        assert len(files(tmp_path)) == 1
    index = writer.finish()
    assert files(tmp_path) == []
    assert index.base == "memory://shards/deep"
    assert {Path(path).name for path in memory.find("/shards/deep")} == {shard.file for shard in index.shards}
    memory.rm("/shards", recursive=True)


@pytest.mark.parametrize("count", [0, 1])
def test_what_is_discarded_leaves_nothing(tmp_path: Path, paint: Any, count: int) -> None:
    writer = ShardWriter(tmp_path, shard_bytes=600)
    for i in range(count):
        writer.add(str(i), paint(i, 10, 10))
    writer.discard()
    assert files(tmp_path) == []
