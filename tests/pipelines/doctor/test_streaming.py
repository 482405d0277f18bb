from pathlib import Path

import numpy as np
import pytest

from pipelines.core.layout import Layout
from pipelines.data.photos import write_photos
from pipelines.doctor.streaming import streaming
from pipelines.training.config import TrainConfig


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


@pytest.fixture
def five(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Five shards at a URL: one of 1440 bytes, then four of 720."""
    monkeypatch.setenv("TUNABLE_CACHE", str(tmp_path / "cache"))
    photos = [(f"{i}.png", np.full((20 if i == 2 else 10, 24, 3), i, np.uint8)) for i in range(5)]
    destination = (tmp_path / "bucket").as_uri()
    write_photos(layout.prepare / "train", photos, shard_bytes=1, destination=destination)
    return layout


def with_cache(config: TrainConfig, nbytes: int, window: int | None) -> TrainConfig:
    compute = config.compute.model_copy(update={"cache_gb": nbytes / 1e9})
    return config.model_copy(update={"compute": compute, "window": window})


@pytest.mark.parametrize(("nbytes", "window"), [(4320, None), (4320, 3), (3600, 2), (2160, 1)])
def test_a_cache_that_holds_what_is_needed_at_once(
    five: Layout, config: TrainConfig, nbytes: int, window: int | None
) -> None:
    assert [finding.level for finding in streaming(five, with_cache(config, nbytes, window))] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("nbytes", "window", "told", "fitting"),
    [
        (4319, None, "null: samples come from all 5 shards, 4.32 kB, more than", 2),
        (3599, None, "null: samples come from all 5 shards, 4.32 kB, more than", 1),
        (4319, 3, "3: two windows hold up to 5 shards, 4.32 kB, more than", 2),
        (3599, 2, "2: two windows hold up to 4 shards, 3.6 kB, more than", 1),
    ],
)
def test_a_cache_that_would_be_emptied_again_and_again_is_a_fault(
    five: Layout, config: TrainConfig, nbytes: int, window: int | None, told: str, fitting: int
) -> None:
    found = streaming(five, with_cache(config, nbytes, window))[2]
    assert found.level == "fault"
    assert f"train.window {told} train.compute.cache_gb {nbytes / 1e9:g}" in found.message
    assert found.remedy == f"set train.window to {fitting} at most, or train.compute.cache_gb to 0.001"


def test_shards_too_large_for_any_window_are_told(five: Layout, config: TrainConfig) -> None:
    found = streaming(five, with_cache(config, 2159, 1))[2]
    assert found.level == "fault"
    assert "train.window 1: two windows hold up to 2 shards, 2.16 kB" in found.message
    assert found.remedy == "set train.compute.cache_gb to 0.001, or prepare with a smaller prepare.shard_mb"
