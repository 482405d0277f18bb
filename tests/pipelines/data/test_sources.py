import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.core.errors import DataError
from pipelines.data.sources import SKIMAGE, SKIMAGE_PHOTOS, decode_photo, list_photos
from zoo.errors import ImageError


def names(source: Path | str, root: Path) -> list[str]:
    return [file.name for file in list_photos(str(source), root).files]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a/b.jpg", "A.PNG", "ä ö.webp", "z/y/x.tiff", "notes.txt", "a/Thumbs.db"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def test_sub_folders_are_searched_and_names_sorted(folder: Path) -> None:
    listing = list_photos("photos", folder.parent)
    found = [file.name for file in listing.files]
    assert found == ["A.PNG", "a/b.jpg", "b.jpg", "z/y/x.tiff", "ä ö.webp"]
    assert all(file.fetch() == folder / file.name for file in listing.files)
    assert listing.ignored == {".db": 1, ".txt": 1}


def test_absolute_and_relative_folders_are_the_same(folder: Path, tmp_path: Path) -> None:
    assert names(folder, Path("/nowhere")) == names("./photos", tmp_path)


def test_home_is_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(names("~/photos", Path("/nowhere"))) == 5


def test_hidden_files_are_passed_over(folder: Path, tmp_path: Path) -> None:
    (folder / "._b.jpg").touch()
    (folder / ".cache").mkdir()
    (folder / ".cache" / "c.jpg").touch()
    assert len(names("photos", tmp_path)) == 5


def test_a_loop_of_links_ends(folder: Path, tmp_path: Path) -> None:
    (folder / "z" / "back").symlink_to(folder)
    (folder / "self.jpg").symlink_to("self.jpg")
    assert names("photos", tmp_path).count("b.jpg") == 1
    assert len(names("photos", tmp_path)) == 6


def test_links_are_followed_and_dangling_ones_kept(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.jpg").touch()
    (folder / "link").symlink_to(elsewhere)
    (folder / "lost.jpg").symlink_to("nothing.jpg")
    assert {"link/far.jpg", "lost.jpg"} <= set(names("photos", tmp_path))


def test_a_pipe_is_no_photograph(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")
    assert "pipe.jpg" not in names("photos", tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_is_spelt_out(folder: Path, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).touch()
    assert "caf\\xe9.jpg" in names("photos", tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'nowhere'"):
        list_photos("nowhere", tmp_path)


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(DataError, match="Not a directory"):
        list_photos("b.jpg", folder)


def test_a_folder_without_photographs_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"\.avif"):
        list_photos(".", tmp_path)


def test_scikit_image_brings_photographs_without_being_imported(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    files = list_photos(SKIMAGE, tmp_path).files
    assert [file.name for file in files] == sorted(SKIMAGE_PHOTOS)
    assert all(min(decode_photo(file.fetch()).shape[:2]) >= 256 for file in files)


def test_no_scikit_image_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.data.style_images.find_spec", lambda name: None)
    with pytest.raises(DataError, match="scikit-image"):
        list_photos(SKIMAGE, tmp_path)


def test_decoding_gives_the_pixels(tmp_path: Path, save: Any, paint: Any) -> None:
    rgb = decode_photo(save(tmp_path / "a.png", 0))
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, paint(0))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_kind_of_image_becomes_rgb(tmp_path: Path, mode: str, paint: Any) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(paint(0)).convert(mode).save(path)
    assert decode_photo(path).shape == (32, 40, 3)


@pytest.mark.parametrize(("limit", "size"), [(None, (32, 40)), (40, (32, 40)), (20, (16, 20)), (4, (3, 4))])
def test_a_long_side_is_scaled_down(
    tmp_path: Path, save: Any, limit: int | None, size: tuple[int, int]
) -> None:
    assert decode_photo(save(tmp_path / "a.png", 0), limit).shape[:2] == size


def test_scaling_down_keeps_the_picture(tmp_path: Path, save: Any, paint: Any) -> None:
    small = decode_photo(save(tmp_path / "a.png", 0, 320, 400), 40)
    assert np.abs(small.astype(int) - paint(0, 32, 40)).mean() < 8


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n noise", b"GIF89a"])
def test_a_broken_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(ImageError):
        decode_photo(path)


def test_photographs_lie_at_a_url_of_this_machine_too(folder: Path, tmp_path: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / ".cache" / "c.jpg").touch()
    listing = list_photos(folder.as_uri(), tmp_path)
    assert [file.name for file in listing.files] == names(folder, tmp_path)
    assert listing.ignored == {".db": 1, ".txt": 1}
    assert listing.files[0].fetch() == b""


def test_a_chain_of_urls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"zip::s3://bucket/x\.zip"):
        list_photos("zip::s3://bucket/x.zip", tmp_path)
