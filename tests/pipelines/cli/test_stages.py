import signal
from pathlib import Path

import pytest
import yaml

from command_line import tunable
from full_disk import full
from pipelines.cli import stages
from pipelines.recipes import make_recipe


@pytest.fixture
def work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: tunable run train}}")
    (tmp_path / "params.yaml").write_text("prepare: {source: nowhere}\ntrain: {steps: 0}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run prepare", "prepare: "),
        ("run train", "train.steps"),
        ("run all", "prepare: "),
        ("run tarin", "unknown stage 'tarin'"),
        ("run search", "a search is tunable search"),
        ("run train --root elsewhere", "elsewhere"),
        ("recipe noise-levl", "did you mean 'noise-level'"),
        ("recipe", "noise-level, "),
        ("recipe noise-level --budget weeks", "minutes, cpu-hours"),
        ("recipe noise-level --out params.yaml", "params.yaml, got: File exists"),
        ("search --publish", "train.steps"),
        ("track --root elsewhere", "elsewhere"),
    ],
)
def test_known_errors_are_one_line(work_tree: Path, arguments: str, words: str) -> None:
    result = tunable(*arguments.split())
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_work_tree_that_ray_will_delete_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded = tmp_path / "session_1" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    uploaded.mkdir(parents=True)
    (uploaded / "params.yaml").touch()
    monkeypatch.chdir(uploaded)
    for arguments in ("run all", "run train --root .", "search"):
        result = tunable(*arguments.split())
        assert result.exit_code == 1
        assert "--root /shared" in result.stderr
    assert [path.name for path in uploaded.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    "arguments",
    ["run train --publish", "run", "run train --stesp 3", "train", "run evaluate --accept-code-change"],
)
def test_an_invalid_command_is_a_usage_error(work_tree: Path, arguments: str) -> None:
    assert tunable(*arguments.split()).exit_code == 2


def test_debug_shows_the_traceback(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.core.errors import ConfigError

    monkeypatch.setenv("TUNABLE_DEBUG", "1")
    assert isinstance(tunable("run", "train").exception, ConfigError)


def test_a_full_disk_is_one_line(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.cli.stages.run_stage", full)
    result = tunable("run", "train")
    assert (result.exit_code, result.stderr) == (
        1,
        "train: expected room to write, got: No space left on device; free some and run again\n",
    )


def test_what_cannot_be_written_is_named(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(*_: object, **__: object) -> None:
        (work_tree / "params.yaml" / "below").mkdir()

    monkeypatch.setattr("pipelines.cli.stages.run_stage", stage)
    result = tunable("run", "train")
    assert result.exit_code == 1
    assert result.stderr == f"train: {work_tree / 'params.yaml' / 'below'}: Not a directory\n"


def test_ctrl_c_says_how_to_resume(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "run_stage", interrupt)
    result = tunable("run", "train")
    assert result.exit_code == 130
    assert result.stderr == "train: interrupted; resume with: tunable run train\n"
    said = tunable("run", "all", "--root", work_tree).stderr
    assert said == f"prepare: interrupted; resume with: tunable run all --root {work_tree}\n"
    assert "resume with: tunable search --publish" in tunable("search", "--publish").stderr
    monkeypatch.setenv("DVC_STAGE", "train")
    assert "resume with: dvc repro" in tunable("run", "train").stderr
    monkeypatch.setenv("DVC_EXP_NAME", "dizzy-name")
    assert "resume with: the same dvc exp run" in tunable("run", "train").stderr


def test_a_stage_runs_once_at_a_time(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr("pipelines.core.locks.TIMEOUT_S", 0.1)
    (work_tree / ".state").mkdir()
    with FileLock(work_tree / ".state" / "prepare.lock"):
        result = tunable("run", "prepare")
        assert result.exit_code == 1
        assert f"another prepare in {work_tree} is running" in result.stderr
        assert "still running" in result.stderr
        monkeypatch.setenv("RANK", "1")  # a process of torchrun, whose first one has the lock
        result = tunable("run", "prepare")
    assert result.exit_code == 1
    assert "another" not in result.stderr


@pytest.mark.parametrize(("signum", "code"), [(2, 130), (15, 143)])
def test_exit_codes_are_those_of_the_signal(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, signum: int, code: int
) -> None:
    # Not os.kill, whose signal another thread may take, and this one hear of too late.
    monkeypatch.setattr(stages, "run_stage", lambda *_, **__: signal.raise_signal(signum))
    assert tunable("run", "train").exit_code == code


def test_only_training_is_told_to_accept_changed_code(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, dict[str, bool]] = {}
    monkeypatch.setattr(stages, "run_stage", lambda name, layout, **flags: asked.update({name: flags}))
    assert tunable("run", "all", "--accept-code-change").exit_code == 0
    assert {name for name, flags in asked.items() if flags} == {"train"}


def test_only_a_search_that_publishes_is_told_to_adopt(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, bool]]] = []
    monkeypatch.setattr(stages, "run_stage", lambda name, layout, **flags: asked.append((name, flags)))
    assert tunable("search", "--publish").exit_code == 0
    assert asked == [("search", {"adopt": True}), ("train", {}), ("evaluate", {}), ("publish", {})]
    asked.clear()
    assert tunable("search").exit_code == 0
    assert asked == [("search", {})]


def test_nothing_to_track_is_fine(work_tree: Path) -> None:
    assert tunable("track").exit_code == 0


def test_all_runs_every_stage_in_order_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, Path]] = []
    monkeypatch.setattr(stages, "run_stage", lambda name, layout: ran.append((name, layout.root)))
    folder = tmp_path / "noise"
    folder.mkdir()
    assert tunable("recipe", "noise-level", "--out", folder / "params.yaml").exit_code == 0
    assert tunable("run", "all", "--root", folder).exit_code == 0
    assert ran == [(stage, folder) for stage in ("prepare", "train", "evaluate", "publish")]


def test_a_recipe_is_written_out_or_to_a_new_file(tmp_path: Path) -> None:
    text = tunable("recipe", "real-world", "--budget", "gpu-days").stdout
    assert text == make_recipe("real-world", "gpu-days")
    assert yaml.safe_load(text)["train"]["task"]["name"] == "real-world"
    out = tmp_path / "params.yaml"
    assert tunable("recipe", "real-world", "--out", out).exit_code == 0
    assert out.read_text() == make_recipe("real-world", "minutes")
