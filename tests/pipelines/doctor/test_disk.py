import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.doctor import disk
from pipelines.doctor.network import Size


def options(**values: object) -> PrepareConfig:
    return parse_section(values, "prepare", PrepareConfig)


@pytest.mark.parametrize(("free", "level"), [(99, "fault"), (150, "warning"), (10**9, "ok")])
def test_free_space_is_compared(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    [found] = disk.room(layout, {"photographs": 60, "checkpoints": 40, "weights": 0})
    assert found.level == level
    assert "about 100 B to come: photographs 60 B, checkpoints 40 B" in found.message
    assert "weights" not in found.message


def test_a_work_tree_that_can_be_written_keeps_no_trace(layout: Layout) -> None:
    assert disk.writable(layout) == []
    assert [path.name for path in layout.root.iterdir()] == ["params.yaml"]


def test_a_work_tree_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    [found] = disk.writable(Layout(tmp_path / "gone"))
    assert found.level == "fault"
    assert "No such file" in found.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_rights_count(layout: Layout) -> None:
    layout.root.chmod(0o500)
    [found] = disk.writable(layout)
    layout.root.chmod(0o700)
    assert found.level == "fault"


def test_decoded_photographs_are_estimated_from_their_headers(layout: Layout) -> None:
    folder = layout.root / "photos"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(folder / f"{i}.png")
    assert disk.photographs_bytes(options(source="photos"), layout) == 3 * 30 * 40 * 3
    small = options(source="photos", max_side_px=20, min_side_px=8)
    assert disk.photographs_bytes(small, layout) == 3 * 15 * 20 * 3
    (folder / "broken.png").write_bytes(b"no picture")
    assert disk.photographs_bytes(options(source="photos"), layout) == 3 * 30 * 40 * 3


def test_many_are_estimated_from_some(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "PEEKED", 2)
    folder = layout.root / "photos"
    folder.mkdir()
    for i in range(10):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(folder / f"{i}.png")
    assert disk.photographs_bytes(options(source="photos"), layout) == 10 * 30 * 40 * 3


@pytest.mark.parametrize("source", ["nowhere", "kodak", "s3://bucket/photos"])
def test_what_is_not_here_is_not_counted(layout: Layout, source: str) -> None:
    assert disk.photographs_bytes(options(source=source), layout) == 0


def test_prepared_photographs_are_there_already(prepared_layout: Layout) -> None:
    assert disk.photographs_bytes(options(), prepared_layout) == 0


def test_a_shard_at_a_time_lies_here_on_the_way_to_a_url(layout: Layout) -> None:
    away = options(destination="s3://bucket/prepared", shard_mb=1)
    assert disk.photographs_bytes(away, layout) == 2**20


def test_a_run_keeps_one_checkpoint_more_for_a_moment() -> None:
    size = Size(parameters=100, trained=100)
    assert disk.run_bytes(size, keep=2) == {"checkpoints": 3 * 1600, "weights": 4 * 400}
