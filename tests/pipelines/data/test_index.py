from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.core.errors import DataError
from pipelines.data.index import Index, Photo, Shard

A, B = "a" * 64, "b" * 64


def photo(name: str, shard: int = 0, offset: int = 0, **changes: Any) -> Photo:
    values = {"name": name, "height": 2, "width": 5, "shard": shard, "offset": offset, "sha256": A}
    return Photo(**values | changes)


SHARDS = [Shard(sha256=A, nbytes=60), Shard(sha256=B, nbytes=30)]


def test_shards_of_no_photograph_are_left_out() -> None:
    index = Index.of([photo("x", shard=1)], SHARDS, None)
    assert index.shards == [SHARDS[1]]
    assert index.photos[0].shard == 0


def test_gaps_are_no_fault() -> None:
    index = Index.of([photo("y", offset=30)], SHARDS, None)
    assert index.photos[0].end == 60


def test_where_shards_lie_is_no_part_of_the_digest() -> None:
    photos = [photo("x"), photo("y", offset=30)]
    assert Index.of(photos, SHARDS, None).sha256 == Index.of(photos, SHARDS, "s3://bucket").sha256


def test_a_json_round_trip() -> None:
    index = Index.of([photo("ü"), photo("y", shard=1)], SHARDS, "s3://bucket")
    assert Index.model_validate_json(index.model_dump_json(by_alias=True)) == index


def test_a_name_that_comes_twice_is_named() -> None:
    with pytest.raises(DataError, match="two photographs of one name, 'x'"):
        Index.of([photo("x"), photo("x", offset=30)], SHARDS, None)


@pytest.mark.parametrize(
    ("photos", "reason"),
    [
        ([photo("x"), photo("y", offset=29)], "overlap"),
        ([photo("x", offset=31)], "ends after its shard"),
        ([photo("x", shard=1), photo("y", shard=1)], "overlap"),
    ],
)
def test_photographs_that_do_not_fit_their_shards_are_refused(photos: list[Photo], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Index.of(photos, SHARDS, None)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "a" * 63, ""])
def test_a_shard_is_named_by_a_digest_and_nothing_else(name: str) -> None:
    with pytest.raises(ValidationError):
        Shard(sha256=name, nbytes=1)
