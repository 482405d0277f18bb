import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.core.errors import DataError
from pipelines.data.archives import is_photo, unpack_photos

Pack = Callable[[Path, dict[str, bytes]], Path]

FILES = {
    "set/train/b.png": b"B" * 3000,
    "set/train/a.jpg": b"A" * 5000,
    "set/train/notes.txt": b"no photograph",
    "set/train/._a.jpg": b"resource fork",
    "set/train/deep/c.png": b"deeper",
    "set/test/d.png": b"of another part",
    "set/train/../../../evil.png": b"out of the folder",
    "/etc/evil.png": b"from the root",
}


def pack_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def pack_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(params=[pack_zip, pack_tar])
def pack(request: Any) -> Pack:
    packed: Pack = request.param
    return packed


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_photographs_of_one_folder_come_out(pack: Pack, tmp_path: Path) -> None:
    archive = pack(tmp_path / "archive", FILES)
    unpack_photos(archive, "set/train", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "a.jpg": FILES["set/train/a.jpg"],
        "b.png": FILES["set/train/b.png"],
    }
    assert everything(tmp_path) == {"archive", "out", "out/a.jpg", "out/b.png"}


def test_names_that_begin_with_a_dot_and_a_stroke_are_understood(pack: Pack, tmp_path: Path) -> None:
    unpack_photos(pack(tmp_path / "archive", {"./set/a.png": b"A"}), "set", tmp_path / "out")
    assert (tmp_path / "out" / "a.png").read_bytes() == b"A"


def test_a_folder_without_photographs_is_an_error(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="set/valid"):
        unpack_photos(pack(tmp_path / "archive", FILES), "set/valid", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w") as file:
        info = zipfile.ZipInfo("set/a.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="link"):
        unpack_photos(tmp_path / "archive", "set", tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_link_in_a_tar_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "archive", "w:gz") as file:
        info = tarfile.TarInfo("set/a.png")
        info.type, info.linkname = kind, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(DataError, match="link"):
        unpack_photos(tmp_path / "archive", "set", tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", "w:gz") as file:
        for data in (b"one", b"other"):
            info = tarfile.TarInfo("set/a.png")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    with pytest.raises(DataError, match=r"set/a\.png"):
        unpack_photos(tmp_path / "archive", "set", tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"<html>", bytes(range(256))])
def test_what_is_no_archive_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(DataError, match="archive"):
        unpack_photos(tmp_path / "archive", "set", tmp_path / "out")


def test_a_damaged_archive_leaves_nothing(pack: Pack, tmp_path: Path) -> None:
    archive = pack(tmp_path / "archive", {"set/a.png": os.urandom(200_000)})
    data = bytearray(archive.read_bytes())
    data[50_000] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="archive"):
        unpack_photos(archive, "set", tmp_path / "out")
    assert everything(tmp_path) == {"archive"}


def test_a_disk_that_is_too_small_is_told_before(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("pipelines.core.errors.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(DataError, match="MB"):
        unpack_photos(pack(tmp_path / "archive", FILES), "set/train", tmp_path / "out")


@pytest.mark.parametrize("name", ["a.png", "A.JPG", "deep/er/ü 1.webp", "x.tar.tiff"])
def test_photographs(name: str) -> None:
    assert is_photo(name)


@pytest.mark.parametrize("name", ["notes.txt", "png", ".png", "a.png.part", "deep.png/notes", "a.gif"])
def test_other_files(name: str) -> None:
    assert not is_photo(name)
