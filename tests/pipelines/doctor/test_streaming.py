from pathlib import Path

import numpy as np
import pytest

from pipelines.data.photos import write_photos
from pipelines.doctor.streaming import streaming
from pipelines.paths import Layout
from pipelines.train.config import TrainConfig


@pytest.fixture
def away(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shards of two prepared photographs are."""
    monkeypatch.setenv("TUNABLE_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "bucket"
    photos = [(f"{i}.png", np.full((20, 24, 3), i, np.uint8)) for i in range(2)]
    write_photos(layout.prepare / "train", photos, shard_bytes=1, destination=place.as_uri())
    return place


def test_photographs_here_are_no_affair_of_it(prepared_layout: Layout, config: TrainConfig) -> None:
    assert streaming(prepared_layout, config) == []


def test_nothing_prepared_is_told_elsewhere(layout: Layout, config: TrainConfig) -> None:
    assert streaming(layout, config) == []


def test_a_place_that_answers(layout: Layout, away: Path, config: TrainConfig, tmp_path: Path) -> None:
    found = streaming(layout, config)
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "2 shards, 2.88 kB" in found[0].message
    assert f"{tmp_path / 'cache'}, 2.88 kB of photographs" in found[1].message
    assert not (tmp_path / "cache").exists()


def test_a_shard_that_is_gone_or_cut_is_a_fault(layout: Layout, away: Path, config: TrainConfig) -> None:
    shards = list(away.glob("*.bin"))
    for shard in shards:
        shard.write_bytes(shard.read_bytes()[:-1])
    assert "got 1439 bytes" in streaming(layout, config)[0].message
    for shard in shards:
        shard.unlink()
    found = streaming(layout, config)[0]
    assert found.level == "fault"
    assert "got no such file" in found.message


def test_a_cache_that_cannot_hold_them_is_a_fault(
    layout: Layout, away: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = config.compute.model_copy(update={"cache_gb": 1e-6})
    [found] = streaming(layout, config.model_copy(update={"compute": small}))
    assert found.level == "fault"
    assert "cache_bytes" in found.message
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2000}))
    found = streaming(layout, config)[1]
    assert found.level == "fault"
    assert "TUNABLE_CACHE" in found.remedy
