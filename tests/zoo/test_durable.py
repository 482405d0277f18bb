import os
from pathlib import Path

import pytest

from zoo.durable import replace_file, temporary_beside, write_file


def test_write_file_creates_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"one")
    with pytest.raises(FileExistsError):
        write_file(path, b"two")
    assert path.read_bytes() == b"one"


def test_replace_file_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_replace_file_keeps_the_old_content_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"two")
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["file"]


def test_temporary_names_differ_and_are_hidden(tmp_path: Path) -> None:
    one, two = (temporary_beside(tmp_path / "file") for _ in range(2))
    assert one != two
    assert one.parent == tmp_path
    assert one.name.startswith(".tmp-")


def test_replace_file_only_ever_renames_over_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")

    def cut_off(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", cut_off)
    with pytest.raises(OSError, match="Input/output"):
        replace_file(path, b"two")
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["file"]
