import os
from pathlib import Path

import pytest

from zoo.durable import (
    create_folder,
    replace_file,
    replace_folder,
    replacement_of,
    write_file,
)


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
    path = tmp_path / "file"
    with replacement_of(path) as one, replacement_of(path) as two:
        assert one != two
        assert one.parent == two.parent == tmp_path
        assert one.name.startswith(".tmp-")
        one.write_bytes(b"one")
        two.write_bytes(b"two")
    assert path.read_bytes() == b"one"  # the outer block ends last


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


def test_content_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with replace_folder(target) as folder:
        (folder / "a").write_text("new")
        assert not target.exists()
    assert (target / "a").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_old_content_goes_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with replace_folder(target) as folder:
        (folder / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(error), replace_folder(target):
        raise error
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_leftovers_of_a_killed_run_are_swept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for name in (".tmp-out-partial", ".tmp-out-previous"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stale").touch()
    with replace_folder(target):
        pass
    assert list(target.iterdir()) == []
    assert list(tmp_path.iterdir()) == [target]


def test_a_created_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with create_folder(target) as folder:
        (folder / "a").write_text("new")
        assert not target.exists()
    assert (target / "a").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_the_first_creator_of_a_folder_wins(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def lose_the_race() -> None:
        with create_folder(target) as folder:
            (folder / "mine").touch()
            target.mkdir()
            (target / "theirs").touch()

    with pytest.raises(OSError, match="out"):
        lose_the_race()
    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_replacement_that_fails_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")

    def fail() -> None:
        with replacement_of(path) as temporary:
            temporary.write_bytes(b"two")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
