"""Where results go, and where none may."""

import sys
from pathlib import Path

import pytest

from pipelines.apply.inputs import collect_inputs
from pipelines.apply.outputs import Job, OverwriteGuard, assign_targets
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
    return assign_targets(collect_inputs(arguments, output), output, kind)


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
    with pytest.raises(ConfigError, match="got 3"):
        jobs(["photos"], "-")


@pytest.mark.parametrize(
    ("arguments", "output", "kind", "said"),
    [
        (["photos"], "out.png", None, "out.png .*got 3"),
        (["photos"], "photo.png", None, "photo.png .*got 3"),
        (["photos"], "portrait.v2", None, "portrait.v2: .*3 pictures"),
        (["photo.png"], "v1.2", None, "got '.2'"),
        (["photo.png"], "out.png", "jpg", "out.png and --format jpg"),
        (["photo.png"], "out", "heic", "'heic'"),
        (["photo.png"], "photo.png/out.png", None, "photo.png is a file"),
        (
            ["photos/a.jpg", "more/a.jpg"],
            "out",
            None,
            "photos/a.jpg and more/a.jpg .*out/a.jpg",
        ),
        (["photos", "more"], "out", None, "out/a.jpg.*glob"),
        (["photos"], "photos", None, "photos/a.jpg is the input photos/a.jpg"),
        (["more/a.jpg", "photo.png"], "more", None, "more/a.jpg is the input more/a.jpg"),
    ],
)
def test_refusals(arguments: list[str], output: str, kind: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        jobs(arguments, output, kind)


def test_no_target_is_another_input() -> None:
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
    with pytest.raises(ConfigError, match="more: "):
        jobs(["photo.png"], "more/new/")


def test_a_result_is_protected_under_every_name(folder: Path) -> None:
    guard = OverwriteGuard([Path("photo.png"), Path("missing.png")])
    guard.check(Path("fresh.png"))
    Path("fresh.png").write_text("result")
    guard.add(Path("fresh.png"))
    # As a file system that takes capitals and small letters for the same has it.
    Path("FRESH.PNG").hardlink_to("fresh.png")
    with pytest.raises(ConfigError, match=r"FRESH.PNG is a result of this run, fresh.png"):
        guard.check(Path("FRESH.PNG"))
    with pytest.raises(ConfigError, match=r"is the input photo\.png"):
        guard.check(folder / "more" / ".." / "photo.png")
