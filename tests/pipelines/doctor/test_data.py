import numpy as np
import pytest
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.doctor.data import inputs, is_local, prepared, sources
from pipelines.training.config import TrainConfig


def options(**values: object) -> PrepareConfig:
    return parse_section(values, "prepare", PrepareConfig)


def test_photographs_of_a_folder_are_counted(layout: Layout) -> None:
    (layout.root / "photos").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(layout.root / "photos" / "a.png")
    (layout.root / "photos" / "notes.txt").write_text("")
    found = sources(options(source="skimage", test_source="photos"), layout)
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "'skimage': 6 photographs" in found[0].message
    assert "'photos': 1 photographs, 1 other files" in found[1].message


def test_a_source_that_is_missing_is_a_fault(layout: Layout) -> None:
    [found] = sources(options(source="nowhere"), layout)
    assert found.level == "fault"
    assert "prepare.source" in found.message
    assert "nowhere" in found.message


def test_a_public_set_is_not_downloaded(layout: Layout) -> None:
    [found] = sources(options(source="kodak", mirror="http://127.0.0.1:9/sets"), layout)
    assert found.level == "ok"
    assert "http://127.0.0.1:9/sets" in found.message
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]


def test_what_lies_here(layout: Layout) -> None:
    places = ("photos", "/photos", "skimage", "kodak", "./kodak", "s3://bucket/photos")
    assert [is_local(place) for place in places] == [True, True, True, False, True, False]


def test_nothing_prepared_is_no_fault_yet(layout: Layout, config: TrainConfig) -> None:
    assert [finding.level for finding in prepared(layout, options(), config)] == ["ok"]


def test_prepared_photographs_are_counted(prepared_layout: Layout, config: TrainConfig) -> None:
    [found] = prepared(prepared_layout, options(), config)
    assert found.level == "ok"
    assert "2 photographs, 2.88 kB" in found.message


def test_a_file_of_another_size_is_a_fault(prepared_layout: Layout, config: TrainConfig) -> None:
    [pixels] = (prepared_layout.prepare / "train").glob("*.bin")
    pixels.write_bytes(pixels.read_bytes()[:-1])
    [found] = prepared(prepared_layout, options(), config)
    assert found.level == "fault"
    assert found.remedy == "run: tunable run prepare"


def test_photographs_of_another_source_are_told(prepared_layout: Layout, config: TrainConfig) -> None:
    found = prepared(prepared_layout, options(source="photos"), config)
    assert found[-1].level == "warning"
    assert "prepared from 'skimage', params.yaml says 'photos'" in found[-1].message


def test_a_preparation_that_did_not_end_is_a_fault(prepared_layout: Layout, config: TrainConfig) -> None:
    (prepared_layout.prepare / "record.json").unlink()
    assert prepared(prepared_layout, options(), config)[-1].level == "fault"


def test_photographs_smaller_than_a_patch_are_a_fault(prepared_layout: Layout, config: TrainConfig) -> None:
    found = prepared(prepared_layout, options(), config.model_copy(update={"patch_px": 24}))
    assert found[-1].level == "fault"
    assert "2 photographs are smaller than train.patch_px 24: '0.png' first" in found[-1].message
    assert "prepare.min_side_px to 24" in found[-1].remedy


@pytest.mark.parametrize("stage", ["train", "evaluate", "publish"])
def test_a_stage_needs_what_earlier_ones_leave(layout: Layout, stage: str) -> None:
    [found] = inputs(stage, layout)
    assert found.level == "fault"
    assert found.message.startswith(f"{stage} needs ")
    assert "tunable run all" in found.remedy


def test_nothing_is_missing_once_it_is_there(prepared_layout: Layout) -> None:
    assert inputs("train", prepared_layout) == []
    assert inputs("prepare", prepared_layout) == []
