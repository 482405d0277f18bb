"""The way to S3 and back, through a real S3 server on this machine."""

import json
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import s3fs
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.data.order import Order
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.stages.prepare import run

pytestmark = pytest.mark.server


@pytest.fixture
def photos(s3: Any, paint: Any) -> dict[str, Any]:
    """Eight photographs below ``s3://data/photos``."""
    made = {f"{'ab'[i % 2]}/ü {i}.png": paint(i, 32, 40) for i in range(8)}
    for name, rgb in made.items():
        buffer = BytesIO()
        Image.fromarray(rgb).save(buffer, "PNG")
        s3.put_object(Bucket="data", Key=f"photos/{name}", Body=buffer.getvalue())
    s3.put_object(Bucket="data", Key="photos/notes.txt", Body=b"")
    return dict(sorted(made.items()))


def prepare(layout: Layout, **values: Any) -> dict[str, Any]:
    options = {"source": "s3://data/photos", "min_side_px": 16, "test_photos": 1} | values
    run(parse_section(options, "prepare", PrepareConfig), layout)
    record: dict[str, Any] = json.loads((layout.prepare / "record.json").read_text("utf-8"))
    return record


def keys(s3: Any, prefix: str) -> dict[str, Any]:
    found = s3.list_objects_v2(Bucket="data", Prefix=prefix).get("Contents", [])
    return {entry["Key"]: entry["LastModified"] for entry in found}


def kept(cache: Path) -> int:
    """Bytes in a cache from which another thread may just be removing something."""
    total = 0
    for path in cache.glob("pixels-*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_photographs_come_from_a_bucket(photos: dict[str, Any], layout: Layout) -> None:
    record = prepare(layout)
    assert record["source"] == {
        "source": "s3://data/photos",
        "files": 8,
        "ignored_files": {".txt": 1},
        "duplicates": {},
        "unreadable": [],
        "too_small": [],
    }
    assert record["license"] == "not stated"
    train = PhotoSet.open(layout.prepare / "train")
    assert len(train) == 7
    for name, rgb in zip(train.names, train, strict=True):
        np.testing.assert_array_equal(rgb, photos[name])


def test_pixels_go_to_a_bucket_and_stream_back(
    photos: dict[str, Any], layout: Layout, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 32 * 40 * 3
    monkeypatch.setattr("pipelines.data.ingest.MIB", size // 2)  # a photograph, or two, a shard
    prepare(layout, destination="s3://data/prepared/", shard_mb=4, validation_photos=1)
    assert [path.name for path in (layout.prepare / "train").iterdir()] == ["index.json"]
    assert len(keys(s3, "prepared/")) == 4

    train = PhotoSet.open(layout.prepare / "train", cache_bytes=2 * 2 * size)
    assert len(train) == 6
    order = Order.of(train, seed=0, window=1)
    for n in range(3 * len(train)):
        train.prefetch(order.upcoming(n))
        np.testing.assert_array_equal(train[order(n)], photos[train.names[order(n)]])
        assert kept(layout.root.parent / "cache") <= 2 * 2 * size
    train.verify()
    for side in ("test", "validation"):  # what is held out lies here
        held = PhotoSet.open(layout.prepare / side)
        held.verify()
        assert held.index.base is None
        np.testing.assert_array_equal(held[0], photos[held.names[0]])


def test_the_same_photographs_are_sent_once(
    photos: dict[str, Any], layout: Layout, s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first = prepare(layout, destination="s3://data/prepared")
    sent = keys(s3, "prepared/")
    assert "uploading" in capsys.readouterr().out
    assert prepare(layout, destination="s3://data/prepared", test_photos=["a/ü 0.png"]) != first
    assert keys(s3, "prepared/") == sent
    assert "uploading" not in capsys.readouterr().out


def test_a_shard_that_was_cut_short_there_is_sent_again(
    photos: dict[str, Any], layout: Layout, s3: Any
) -> None:
    prepare(layout, destination="s3://data/prepared")
    [key] = keys(s3, "prepared/")
    s3.put_object(Bucket="data", Key=key, Body=b"short")
    with pytest.raises(DataError, match="s3://data/prepared/pixels-"):
        PhotoSet.open(layout.prepare / "train")[0]
    prepare(layout, destination="s3://data/prepared")
    PhotoSet.open(layout.prepare / "train").verify()


def test_where_pixels_lie_changes_nothing_else(photos: dict[str, Any], layout: Layout) -> None:
    assert prepare(layout) == prepare(layout, destination="s3://data/prepared")


def test_a_missing_bucket_is_one_sentence(s3: Any, layout: Layout) -> None:
    with pytest.raises(DataError, match="s3://nobody/photos"):
        prepare(layout, source="s3://nobody/photos")


def test_a_missing_bucket_to_write_to_is_one_sentence(
    photos: dict[str, Any], layout: Layout, paint: Any, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="s3://nobody/x/pixels-"):
        write_photos(tmp_path / "set", [("a", paint(0))], destination="s3://nobody/x")
    assert not (tmp_path / "set").exists()


def test_missing_keys_are_one_sentence(
    photos: dict[str, Any], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(DataError, match="AWS_ACCESS_KEY_ID") as caught:
        prepare(layout)
    assert "\n" not in str(caught.value)

    def never() -> Iterator[tuple[str, Any]]:
        pytest.fail("asked for a photograph before the keys were found missing")
        yield "", None

    with pytest.raises(DataError, match="AWS_ACCESS_KEY_ID"):
        write_photos(layout.root / "set", never(), destination="s3://data/prepared")


def test_a_shard_that_vanishes_while_training_is_an_error(
    photos: dict[str, Any], layout: Layout, s3: Any
) -> None:
    prepare(layout, destination="s3://data/prepared")
    train = PhotoSet.open(layout.prepare / "train")
    [key] = keys(s3, "prepared/")
    s3.delete_object(Bucket="data", Key=key)
    with pytest.raises(DataError, match="FileNotFoundError"):
        train[0]
