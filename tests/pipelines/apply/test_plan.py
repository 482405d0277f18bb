"""What is known before a network is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipelines.apply.inputs import collect_inputs
from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import assign_targets
from pipelines.apply.plan import Limits, Task, lift_pillow_limit, plan_tasks
from pipelines.apply.settings import Settings

Planned = Callable[..., list[Task | Outcome]]


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    monkeypatch.chdir(tmp_path)

    def planned_(
        pictures: dict[str, Image.Image],
        output: str,
        limits: Limits | None = None,
        *,
        overwrite: bool = False,
    ) -> list[Task | Outcome]:
        Path("in").mkdir(exist_ok=True)
        for name, picture in pictures.items():
            picture.save(Path("in") / name)
        settings = Settings({"denoise": 0.5}, {"b.png": {"denoise": 1.0}})
        jobs = assign_targets(collect_inputs(["in"], output), output, "webp" if output == "webp" else None)
        return list(plan_tasks(jobs, settings, limits or Limits(10**6), overwrite=overwrite))

    return planned_


def test_each_has_its_settings_and_size(planned: Planned) -> None:
    tasks = planned({"a.png": Image.new("RGB", (6, 4)), "b.png": Image.new("L", (3, 2))}, "out")
    assert [(task.values, task.pixels, task.note) for task in tasks if isinstance(task, Task)] == [
        ({"denoise": 0.5}, 24, None),
        ({"denoise": 1.0}, 6, None),
    ]


def test_results_that_exist_are_skipped_unread(planned: Planned) -> None:
    pictures = {"a.png": Image.new("RGB", (6, 4)), "b.png": Image.new("L", (3, 2))}
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"precious")
    Path("in").mkdir()
    skipped, task = planned(pictures, "out")
    assert isinstance(skipped, Outcome)
    assert (skipped.status, skipped.megapixels) == ("skipped", None)
    assert isinstance(task, Task)
    assert all(isinstance(item, Task) for item in planned(pictures, "out", overwrite=True))


def test_what_a_format_cannot_hold_is_noted(planned: Planned) -> None:
    [task] = planned({"a.png": Image.new("I;16", (6, 4))}, "webp")
    assert isinstance(task, Task)
    assert task.note == "16-bit grey is rounded to 8 bits: WEBP holds no more; PNG and TIFF hold it"


def test_sides_are_those_of_the_result(planned: Planned) -> None:
    pictures = {"a.png": Image.new("L", (5000, 1))}
    assert isinstance(planned(pictures, "webp")[0], Task)
    [outcome] = planned(pictures, "webp", Limits(10**6, scale=4))
    assert isinstance(outcome, Outcome)
    assert "at most 16,383 pixels a side, got 20000 x 4" in str(outcome.error)


def test_too_many_pixels_name_the_option(planned: Planned) -> None:
    [outcome] = planned({"a.png": Image.new("L", (40, 30))}, "out", Limits(1000))
    assert isinstance(outcome, Outcome)
    assert "1,000 pixels, got 40 x 30 = 1,200" in str(outcome.error)
    assert "--max-pixels 1200" in str(outcome.error)


def test_pixels_are_those_of_all_pages(tmp_path: Path) -> None:
    first, second = Image.new("L", (40, 30)), Image.new("L", (2, 3))
    first.save(tmp_path / "scan.tif", save_all=True, append_images=[second])
    jobs = assign_targets(
        collect_inputs([str(tmp_path / "scan.tif")], str(tmp_path / "out")), str(tmp_path / "out")
    )
    [task] = plan_tasks(jobs, Settings({}, {}), Limits(1206))
    assert isinstance(task, Task)
    assert task.pixels == 1206
    [outcome] = plan_tasks(jobs, Settings({}, {}), Limits(1205))
    assert isinstance(outcome, Outcome)
    assert "at most 1,205 pixels, got 2 pages, together 1,206; use --max-pixels 1206" in str(outcome.error)


def test_a_picture_that_cannot_be_read_has_failed(planned: Planned) -> None:
    Path("in").mkdir()
    Path("in/broken.png").write_bytes(b"noise")
    broken, task = planned({"c.png": Image.new("L", (3, 2))}, "out")
    assert isinstance(broken, Outcome)
    assert broken.sentence().startswith("failed in/broken.png: expected one of AVIF")
    assert isinstance(task, Task)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = assign_targets(collect_inputs(["none.png"], "out"), "out")
    [outcome] = plan_tasks(jobs, Settings({}, {}), Limits(100))
    assert isinstance(outcome, Outcome)
    assert outcome.sentence() == "failed none.png: expected a picture, found no such file"


def test_pillow_s_limit_comes_back() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with lift_pillow_limit():
        assert Image.MAX_IMAGE_PIXELS is None
    assert before == Image.MAX_IMAGE_PIXELS
