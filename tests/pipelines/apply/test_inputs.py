"""What files, folders, globs and standard input stand for."""

import os
from pathlib import Path, PurePosixPath

import pytest

from pipelines.apply.inputs import Inputs, collect_inputs
from pipelines.core.errors import ConfigError

FILES = ("photos/a.png", "photos/B.JPG", "photos/sub/c.webp", "photos/sub/deep/d.tif", "photos/notes.txt",
         "photos/x.jxl", "photos/.hidden.png", "photos/.cache/e.png", "other/a.png",
         "odd[1].png")  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


def places(inputs: Inputs) -> list[str]:
    return [str(source.relative) for source in inputs.sources]


def test_a_folder_is_all_pictures_below_it() -> None:
    inputs = collect_inputs(["photos"], "out")
    assert places(inputs) == ["B.JPG", "a.png", "sub/c.webp", "sub/deep/d.tif"]
    assert inputs.ignored == {".txt": 1, ".jxl": 1}
    assert not inputs.is_single


def test_results_inside_a_folder_are_no_inputs() -> None:
    for arguments in (["photos"], ["photos/**/*.*"], ["photos/*"]):
        inputs = collect_inputs(arguments, "photos/sub")
        assert not any(place.startswith("sub/") for place in places(inputs))
        assert "a.png" in places(inputs)
    assert "c.webp" in places(collect_inputs(["photos/sub"], "photos/sub"))
    assert "c.webp" in places(collect_inputs(["photos/sub/*.webp"], "photos/sub"))


def test_linked_folders_are_not_entered(folder: Path) -> None:
    (folder / "photos" / "round").symlink_to(folder / "photos")
    assert len(places(collect_inputs(["photos"], "out"))) == 4
    (folder / "link").symlink_to(folder / "photos")
    assert len(places(collect_inputs(["link"], "out"))) == 4


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("photos/*.png", ["a.png"]),
        ("*/a.png", ["other/a.png", "photos/a.png"]),
        ("photos/**/*.tif", ["sub/deep/d.tif"]),
        ("photos/s*", ["sub/c.webp", "sub/deep/d.tif"]),
        ("photos/notes.*", ["notes.txt"]),
    ],
)
def test_globs_that_the_shell_left_alone(pattern: str, wanted: list[str], folder: Path) -> None:
    assert places(collect_inputs([pattern], "out")) == wanted
    assert places(collect_inputs([str(folder / pattern)], "out")) == wanted


def test_a_name_that_looks_like_a_glob_is_a_file() -> None:
    inputs = collect_inputs(["odd[1].png"], "out")
    assert places(inputs) == ["odd[1].png"]
    assert inputs.is_single


def test_each_picture_once() -> None:
    inputs = collect_inputs(["photos", "photos/a.png", "./photos/*.png", "photos/a.png"], "out")
    assert places(inputs).count("a.png") == 1


def test_one_file_is_single_and_a_folder_with_one_is_not() -> None:
    assert collect_inputs(["photos/a.png"], "out").is_single
    assert collect_inputs(["other/*.png"], "out").is_single
    assert not collect_inputs(["other"], "out").is_single
    assert not collect_inputs(["photos/a.png", "other/a.png"], "out").is_single


def test_a_missing_file_is_left_to_the_reader() -> None:
    assert collect_inputs(["none.png"], "out").sources[0].content == Path("none.png")


def test_a_folder_that_cannot_be_listed_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    faults = {
        source.name: source.fault for source in collect_inputs(["photos"], "out").sources if source.fault
    }
    assert faults == {"photos/sub": "cannot list photos/sub: Permission denied"}


def test_standard_input() -> None:
    [source] = collect_inputs(["-"], "out", b"data").sources
    assert (source.content, source.name, source.relative) == (
        b"data",
        "standard input",
        PurePosixPath("stdin"),
    )
    with pytest.raises(ConfigError, match="got 2"):
        collect_inputs(["-", "photos"], "out")


@pytest.mark.parametrize("argument", ["none*.png", "empty"])
def test_nothing_found(argument: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(ConfigError, match=rf"{argument.replace('*', '.')}: .*\.png"):
        collect_inputs([argument], "out")
