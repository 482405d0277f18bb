from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.data.photos import write_photos
from pipelines.doctor.data import check_inputs, check_prepared, check_sources, check_streaming, is_local
from pipelines.training.config import TrainConfig


def options(**values: object) -> PrepareConfig:
    return parse_section(values, "prepare", PrepareConfig)


def test_photographs_of_a_folder_are_counted(layout: Layout) -> None:
    (layout.root / "photos").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(layout.root / "photos" / "a.png")
    (layout.root / "photos" / "notes.txt").write_text("")
    found = check_sources(options(source="skimage", test_source="photos"), layout)
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "'skimage': 6 photographs" in found[0].message
    assert "'photos': 1 photographs, 1 other files" in found[1].message


def test_a_source_that_is_missing_is_a_fault(layout: Layout) -> None:
    [found] = check_sources(options(source="nowhere"), layout)
    assert found.level == "fault"
    assert "prepare.source" in found.message
    assert "nowhere" in found.message


def test_a_public_set_is_not_downloaded(layout: Layout) -> None:
    [found] = check_sources(options(source="kodak", mirror="http://127.0.0.1:9/sets"), layout)
    assert found.level == "ok"
    assert "http://127.0.0.1:9/sets" in found.message
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]


def test_which_sources_are_local(layout: Layout) -> None:
    places = ("photos", "/photos", "skimage", "kodak", "./kodak", "s3://bucket/photos")
    assert [is_local(place) for place in places] == [True, True, True, False, True, False]


def test_nothing_prepared_is_no_fault_yet(layout: Layout, config: TrainConfig) -> None:
    assert [finding.level for finding in check_prepared(layout, options(), config)] == ["ok"]


def test_prepared_photographs_are_counted(prepared_layout: Layout, config: TrainConfig) -> None:
    [found] = check_prepared(prepared_layout, options(), config)
    assert found.level == "ok"
    assert "2 photographs, 2.88 kB" in found.message


def test_a_file_of_another_size_is_a_fault(prepared_layout: Layout, config: TrainConfig) -> None:
    [pixels] = (prepared_layout.prepare / "train").glob("*.bin")
    pixels.write_bytes(pixels.read_bytes()[:-1])
    [found] = check_prepared(prepared_layout, options(), config)
    assert found.level == "fault"
    assert found.remedy == "run: tunable run prepare"


def test_photographs_of_another_source_are_a_warning(prepared_layout: Layout, config: TrainConfig) -> None:
    found = check_prepared(prepared_layout, options(source="photos"), config)
    assert found[-1].level == "warning"
    assert "prepared from 'skimage', params.yaml says 'photos'" in found[-1].message


def test_an_incomplete_preparation_is_a_fault(prepared_layout: Layout, config: TrainConfig) -> None:
    (prepared_layout.prepare / "record.json").unlink()
    assert check_prepared(prepared_layout, options(), config)[-1].level == "fault"


def test_photographs_smaller_than_a_patch_are_a_fault(prepared_layout: Layout, config: TrainConfig) -> None:
    found = check_prepared(prepared_layout, options(), config.model_copy(update={"patch_px": 24}))
    assert found[-1].level == "fault"
    assert "2 photographs are smaller than train.patch_px 24: '0.png' first" in found[-1].message
    assert "prepare.min_side_px to 24" in found[-1].remedy


@pytest.mark.parametrize("stage", ["train", "evaluate", "publish"])
def test_a_stage_needs_the_output_of_earlier_ones(layout: Layout, stage: str) -> None:
    [found] = check_inputs(stage, layout)
    assert found.level == "fault"
    assert found.message.startswith(f"{stage} needs ")
    assert "tunable run all" in found.remedy


def test_inputs_that_exist_are_no_fault(prepared_layout: Layout) -> None:
    assert check_inputs("train", prepared_layout) == []
    assert check_inputs("prepare", prepared_layout) == []


@pytest.fixture
def remote(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shards of two prepared photographs are."""
    monkeypatch.setenv("TUNABLE_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "bucket"
    photos = [(f"{i}.png", np.full((20, 24, 3), i, np.uint8)) for i in range(2)]
    write_photos(layout.prepare / "train", photos, shard_bytes=1, destination=place.as_uri())
    return place


def test_local_photographs_are_not_streamed(prepared_layout: Layout, config: TrainConfig) -> None:
    assert check_streaming(prepared_layout, config) == []


def test_nothing_prepared_is_not_streamed(layout: Layout, config: TrainConfig) -> None:
    assert check_streaming(layout, config) == []


def test_a_url_that_answers(layout: Layout, remote: Path, config: TrainConfig, tmp_path: Path) -> None:
    found = check_streaming(layout, config)
    assert [finding.level for finding in found] == ["ok"]
    assert "2 shards, 2.88 kB" in found[0].message
    assert not (tmp_path / "cache").exists()


def test_a_shard_that_is_gone_or_cut_is_a_fault(layout: Layout, remote: Path, config: TrainConfig) -> None:
    shards = list(remote.glob("*.bin"))
    for shard in shards:
        shard.write_bytes(shard.read_bytes()[:-1])
    assert "got 1439 bytes" in check_streaming(layout, config)[0].message
    for shard in shards:
        shard.unlink()
    found = check_streaming(layout, config)[0]
    assert found.level == "fault"
    assert "got no such file" in found.message


def test_a_cache_that_cannot_hold_them_is_a_fault(
    layout: Layout, remote: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = config.compute.model_copy(update={"cache_gb": 1e-6})
    [found] = check_streaming(layout, config.model_copy(update={"compute": small}))
    assert found.level == "fault"
    assert "cache_bytes" in found.message


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
    found = check_streaming(five, with_cache(config, nbytes, window))
    assert [finding.level for finding in found] == ["ok"]


@pytest.mark.parametrize(
    ("nbytes", "window", "use", "fitting"),
    [
        (4319, None, "null: samples come from all 5 shards, 4.32 kB", 2),
        (3599, None, "null: samples come from all 5 shards, 4.32 kB", 1),
        (4319, 3, "3: two windows hold up to 5 shards, 4.32 kB", 2),
        (3599, 2, "2: two windows hold up to 4 shards, 3.6 kB", 1),
    ],
)
def test_a_cache_too_small_for_the_window_is_a_fault(
    five: Layout, config: TrainConfig, nbytes: int, window: int | None, use: str, fitting: int
) -> None:
    found = check_streaming(five, with_cache(config, nbytes, window))[1]
    assert found.level == "fault"
    assert f"train.window {use}" in found.message
    assert f"train.compute.cache_gb {nbytes / 1e9:g}" in found.message
    assert f"train.window to at most {fitting}, or train.compute.cache_gb to 0.001" in found.remedy


def test_shards_too_large_for_any_window_are_a_fault(five: Layout, config: TrainConfig) -> None:
    found = check_streaming(five, with_cache(config, 2159, 1))[1]
    assert found.level == "fault"
    assert "train.window 1: two windows hold up to 2 shards, 2.16 kB" in found.message
    assert "train.window" not in found.remedy
    assert "train.compute.cache_gb to 0.001" in found.remedy
    assert "prepare.shard_mb" in found.remedy
