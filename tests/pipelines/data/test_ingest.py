import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pillow_heif import from_pillow

from pipelines.core.errors import DataError
from pipelines.data.config import PrepareConfig
from pipelines.data.ingest import ingest_source


@pytest.fixture
def source(tmp_path: Path, save: Any) -> Path:
    for i in range(3):
        save(tmp_path / "photos" / f"{i}.png", i)
    save(tmp_path / "photos" / "small.png", 7, 8, 40)
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "photos" / "read me.txt").touch()
    return tmp_path / "photos"


def config(**values: Any) -> PrepareConfig:
    return PrepareConfig(**{"min_side_px": 16, "max_unreadable_fraction": 0.2} | values)


def test_every_file_is_accounted_for(source: Path, tmp_path: Path) -> None:
    intake = ingest_source("photos", config(), tmp_path, tmp_path / "set")
    assert intake.photos.names == ["0.png", "1.png", "2.png"]
    assert len(intake.hashes) == 3
    assert intake.summarize() == {
        "source": "photos",
        "files": 5,
        "ignored_files": {".txt": 1},
        "duplicates": {},
        "unreadable": ["broken.png"],
        "too_small": ["small.png"],
    }


def test_the_unreadable_are_named_as_they_are_met(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest_source("photos", config(), tmp_path, tmp_path / "set")
    out = capsys.readouterr().out
    assert "1 .txt" in out
    assert "'broken.png'" in out
    assert "photograph 5/5" in out


def test_too_many_unreadable_are_an_error(source: Path, tmp_path: Path) -> None:
    (source / "lost.png").symlink_to("nothing")
    with pytest.raises(DataError, match=r"19\.0%.*2 of 6.*broken\.png.*expected one of AVIF"):
        ingest_source("photos", config(max_unreadable_fraction=0.19), tmp_path, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_one_unreadable_is_never_fatal(source: Path, tmp_path: Path) -> None:
    intake = ingest_source("photos", config(max_unreadable_fraction=0.0), tmp_path, tmp_path / "set")
    assert intake.unreadable == ["broken.png"]


def test_a_dangling_link_is_unreadable(source: Path, tmp_path: Path) -> None:
    (source / "lost.png").symlink_to("nothing")
    intake = ingest_source("photos", config(max_unreadable_fraction=0.5), tmp_path, tmp_path / "set")
    assert intake.unreadable == ["broken.png", "lost.png"]


def test_only_small_photographs_are_an_error(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="100 px"):
        ingest_source("photos", config(min_side_px=100), tmp_path, tmp_path / "set")


def test_the_size_after_scaling_down_counts(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="min_side_px"):
        ingest_source("photos", config(min_side_px=17, max_side_px=20), tmp_path, tmp_path / "set")


def test_exact_duplicates_are_counted_once(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / "1.png", source / "copy of 1.png")
    Image.open(source / "0.png").save(source / "same pixels.bmp")
    intake = ingest_source("photos", config(), tmp_path, tmp_path / "set")
    assert intake.photos.names == ["0.png", "1.png", "2.png"]
    assert len(intake.hashes) == 3
    assert intake.summarize()["duplicates"] == {"copy of 1.png": "1.png", "same pixels.bmp": "0.png"}


def test_a_phones_photograph_is_read_or_its_remedy_named(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_pillow(Image.open(source / "0.png")).save(source / "IMG_1.HEIC", quality=-1)
    (source / "IMG_1.MOV").touch()
    intake = ingest_source("photos", config(), tmp_path, tmp_path / "set")
    assert intake.photos.names == ["0.png", "1.png", "2.png", "IMG_1.HEIC"]
    assert intake.summarize()["ignored_files"] == {".mov": 1, ".txt": 1}
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (source / "broken.png").unlink()
    shutil.copy(source / "IMG_1.HEIC", source / "IMG_2.HEIC")
    with pytest.raises(DataError, match=r"IMG_1\.HEIC.*tunable-zoo\[heif\]"):
        ingest_source("photos", config(), tmp_path, tmp_path / "set")
