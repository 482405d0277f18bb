import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from full_disk import full
from pipelines.__main__ import main
from pipelines.recipes import make_recipe


@pytest.fixture
def work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: python -m pipelines train}}")
    (tmp_path / "params.yaml").write_text("prepare: {source: nowhere}\ntrain: {steps: 0}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["prepare"], 1, "prepare: "),
        (["train"], 1, "train.steps"),
        (["all"], 1, "prepare: "),
        (["tarin"], 1, "unknown stage 'tarin'"),
        (["train", "--root", "elsewhere"], 1, "elsewhere"),
        (["recipe", "noise-levl"], 1, "did you mean 'noise-level'"),
        (["recipe"], 1, "there are noise-level, "),
        (["recipe", "noise-level", "--budget", "weeks"], 1, "minutes, cpu-hours"),
        (["recipe", "noise-level", "--out", "params.yaml"], 1, "params.yaml, got: File exists"),
        (["search", "--publish"], 1, "train.steps"),
        (["train", "--publish"], 2, "usage"),
        ([], 2, "usage"),
        (["train", "--stesp", "3"], 2, "usage"),
        (["--help"], 0, "usage"),
    ],
)
def test_known_errors_are_one_line(
    work_tree: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_the_traceback_is_there_for_who_asks(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.errors import ConfigError

    monkeypatch.setenv("TUNABLE_DEBUG", "1")
    with pytest.raises(ConfigError):
        main(["train"])


def test_a_full_disk_under_what_a_stage_writes_is_told(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipelines.__main__.run_stage", full)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == (
        "train: expected room to write, got: No space left on device; free some and run again\n"
    )


def test_what_cannot_be_written_is_named(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stage(*_: object, **__: object) -> None:
        (work_tree / "params.yaml" / "below").mkdir()

    monkeypatch.setattr("pipelines.__main__.run_stage", stage)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == f"train: {work_tree / 'params.yaml' / 'below'}: Not a directory\n"


def test_ctrl_c_says_how_to_go_on(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pipelines.__main__ as entry

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "run_stage", interrupt)
    assert main(["train"]) == 130
    assert "go on with: dvc repro" in capsys.readouterr().err
    (work_tree / "dvc.yaml").unlink()
    assert main(["all"]) == 130
    assert "prepare: interrupted; go on with: python -m pipelines all" in capsys.readouterr().err


def test_a_stage_runs_once_at_a_time(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    import pipelines.__main__ as entry

    monkeypatch.setattr(entry, "PATIENCE_S", 0.1)
    (work_tree / ".state").mkdir()
    with FileLock(work_tree / ".state" / "prepare.lock"):
        assert main(["prepare"]) == 1
        told = capsys.readouterr().err
        assert "another prepare is running" in told
        assert "still running" in told
        monkeypatch.setenv("RANK", "1")  # a process of torchrun, whose first one has the lock
        assert main(["prepare"]) == 1
    assert "another" not in capsys.readouterr().err


def test_a_stage_that_is_ending_is_waited_for(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from threading import Timer

    from filelock import FileLock

    import pipelines.__main__ as entry

    (work_tree / ".state").mkdir()
    lock = FileLock(work_tree / ".state" / "prepare.lock", thread_local=False)
    lock.acquire()
    wait = entry._wait

    def release_soon_and_wait(*arguments: Any) -> None:
        Timer(0.3, lock.release).start()
        wait(*arguments)

    monkeypatch.setattr(entry, "_wait", release_soon_and_wait)
    assert main(["prepare"]) == 1
    told = capsys.readouterr().err
    assert "another prepare is running" in told
    assert "prepare: expected" in told


@pytest.mark.parametrize(("signum", "code"), [(2, 130), (15, 143)])
def test_exit_codes_are_those_of_the_signal(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, signum: int, code: int
) -> None:
    import pipelines.__main__ as entry

    # Not os.kill, whose signal another thread may take, and this one hear of too late.
    monkeypatch.setattr(entry, "run_stage", lambda *_, **__: signal.raise_signal(signum))
    assert main(["train"]) == code


def test_only_training_is_told_to_accept_changed_code(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipelines.__main__ as entry

    asked: dict[str, dict[str, bool]] = {}
    monkeypatch.setattr(entry, "run_stage", lambda name, layout, **flags: asked.update({name: flags}))
    assert main(["all", "--accept-code-change"]) == 0
    assert {name for name, flags in asked.items() if flags} == {"train"}


def test_only_a_search_that_publishes_is_told_to_adopt(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipelines.__main__ as entry

    asked: list[tuple[str, dict[str, bool]]] = []
    monkeypatch.setattr(entry, "run_stage", lambda name, layout, **flags: asked.append((name, flags)))
    assert main(["search", "--publish"]) == 0
    assert asked == [("search", {"adopt": True}), ("train", {}), ("evaluate", {}), ("publish", {})]
    asked.clear()
    assert main(["search"]) == 0
    assert asked == [("search", {})]


def test_nothing_to_track_is_fine(work_tree: Path) -> None:
    assert main(["track"]) == 0


def test_all_runs_every_stage_in_order_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pipelines.__main__ as entry

    ran: list[tuple[str, Path]] = []
    monkeypatch.setattr(entry, "run_stage", lambda name, layout: ran.append((name, layout.root)))
    folder = tmp_path / "noise"
    folder.mkdir()
    assert main(["recipe", "noise-level", "--out", str(folder / "params.yaml")]) == 0
    assert main(["all", "--root", str(folder)]) == 0
    assert ran == [(stage, folder) for stage in ("prepare", "train", "evaluate", "publish")]


def test_a_recipe_is_written_out_or_to_a_new_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "real-world", "--budget", "gpu-days"]) == 0
    text = capsys.readouterr().out
    assert text == make_recipe("real-world", "gpu-days")
    assert yaml.safe_load(text)["train"]["task"]["name"] == "real-world"
    out = tmp_path / "params.yaml"
    assert main(["recipe", "real-world", "--out", str(out)]) == 0
    assert out.read_text() == make_recipe("real-world", "minutes")
