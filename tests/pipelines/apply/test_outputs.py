"""Where results go, and where none may."""

import sys
from pathlib import Path

import pytest

from pipelines.apply.inputs import collect
from pipelines.apply.outputs import Guard, Job, place
from pipelines.core.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "photos/a.jpg",
        "photos/sub/B.JPG",
        "photos/sub/c.gif",
        "photo.png",
        "portrait.v2",
        "more/a.jpg",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    return tmp_path


def jobs(arguments: list[str], output: str, kind: str | None = None) -> list[Job]:
    return place(collect(arguments, output), output, kind)


def targets(arguments: list[str], output: str, kind: str | None = None) -> list[str]:
    return [job.output for job in jobs(arguments, output, kind)]


def test_a_folder_keeps_places_and_formats_that_we_write() -> None:
    assert targets(["photos"], "out") == ["out/a.jpg", "out/sub/B.JPG", "out/sub/c.png"]
    assert targets(["photos"], "out", "webp") == ["out/a.webp", "out/sub/B.webp", "out/sub/c.webp"]
    assert targets(["photos"], "out", ".JPG") == ["out/a.jpg", "out/sub/B.JPG", "out/sub/c.jpg"]
    assert targets(["portrait.v2"], "out") == ["out/portrait.v2.png"]


@pytest.mark.parametrize(
    ("output", "wanted"),
    [("out.tif", "out.tif"), ("out", "out/photo.png"), ("out.tif/", "out.tif/photo.png"),
     ("more", "more/photo.png"), ("new/out.JPEG", "new/out.JPEG")],
)  # fmt: skip
def test_one_file_to_a_file_or_a_folder(output: str, wanted: str) -> None:
    [job] = jobs(["photo.png"], output)
    assert job.target == Path(wanted)
    assert job.target.suffix.lower() in job.form.suffixes


def test_standard_output() -> None:
    [job] = jobs(["photos/sub/c.gif"], "-")
    assert (job.target, job.form.name, job.output) == (None, "PNG", "standard output")
    assert jobs(["photos/a.jpg"], "-")[0].form.name == "JPEG"
    assert jobs(["photos/a.jpg"], "-", "tiff")[0].form.name == "TIFF"
    with pytest.raises(ConfigError, match="takes one picture, got 3"):
        jobs(["photos"], "-")


@pytest.mark.parametrize(
    ("arguments", "output", "kind", "said"),
    [
        (["photos"], "out.png", None, "names one file, got 3 pictures; name a folder"),
        (["photos"], "photo.png", None, "names one file"),
        (["photos"], "portrait.v2", None, "expected a folder for 3 pictures, got a file"),
        (["photo.png"], "v1.2", None, r"expected a suffix among .png, .*got '.2'; a folder ends with /"),
        (["photo.png"], "out.png", "jpg", "-o out.png and --format jpg name two formats"),
        (["photo.png"], "out", "heic", "expected one of png, .* got 'heic'"),
        (["photo.png"], "photo.png/out.png", None, "but photo.png is a file"),
        (
            ["photos/a.jpg", "more/a.jpg"],
            "out",
            None,
            "photos/a.jpg and more/a.jpg would both become out/a.jpg",
        ),
        (["photos", "more"], "out", None, "would both become out/a.jpg; give a folder or a quoted glob"),
        (["photos"], "photos", None, "photos/a.jpg is the input photos/a.jpg, which is never overwritten"),
        (["more/a.jpg", "photo.png"], "more", None, "more/a.jpg is the input more/a.jpg"),
    ],
)
def test_refusals(arguments: list[str], output: str, kind: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        jobs(arguments, output, kind)


def test_the_target_of_one_may_not_be_another_input() -> None:
    Path("photos/a.png").write_text("second")
    with pytest.raises(ConfigError, match=r"photos/a.png is the input photos/a.png"):
        jobs(["photos/a.png", "photos/sub/c.gif"], "photos", "png")
    Path("out").symlink_to("photos")
    with pytest.raises(ConfigError, match=r"out/a.png is the input photos/a.png"):
        jobs(["photos/a.png"], "out")


def test_a_folder_in_the_place_of_a_result() -> None:
    Path("out/photo.png").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"out/photo.png is a folder"):
        jobs(["photo.png"], "out")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
def test_a_folder_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="more: expected a folder that may be written into"):
        jobs(["photo.png"], "more/new/")


def test_a_result_is_held_under_every_name(folder: Path) -> None:
    guard = Guard([Path("photo.png"), Path("missing.png")])
    guard.check(Path("fresh.png"))
    Path("fresh.png").write_text("result")
    guard.add(Path("fresh.png"))
    # As a file system that takes capitals and small letters for the same has it.
    Path("FRESH.PNG").hardlink_to("fresh.png")
    with pytest.raises(ConfigError, match=r"FRESH.PNG is a result of this run, fresh.png"):
        guard.check(Path("FRESH.PNG"))
    with pytest.raises(ConfigError, match=r"is the input photo\.png"):
        guard.check(folder / "more" / ".." / "photo.png")
