from pathlib import Path

import pytest

from pipelines.__main__ import main


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
        (["tarin"], 1, "unknown stage 'tarin'"),
        ([], 2, "usage"),
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


def test_ctrl_c_says_how_to_go_on(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pipelines.__main__ as entry

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "run_stage", interrupt)
    assert main(["train"]) == 130
    assert "go on with: dvc repro" in capsys.readouterr().err


def test_a_stage_runs_once_at_a_time(work_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from filelock import FileLock

    (work_tree / ".state").mkdir()
    with FileLock(work_tree / ".state" / "prepare.lock"):
        assert main(["prepare"]) == 1
    assert "another prepare is running" in capsys.readouterr().err
