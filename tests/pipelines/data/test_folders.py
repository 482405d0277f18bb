from pathlib import Path

import pytest

from pipelines.data.folders import replaced_folder


def test_content_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with replaced_folder(target) as folder:
        (folder / "a").write_text("new")
        assert not target.exists()
    assert (target / "a").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_old_content_goes_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with replaced_folder(target) as folder:
        (folder / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(error), replaced_folder(target):
        raise error
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_leftovers_of_a_killed_run_are_swept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for name in (".out.partial", ".out.previous"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stale").touch()
    with replaced_folder(target):
        pass
    assert list(target.iterdir()) == []
    assert list(tmp_path.iterdir()) == [target]
