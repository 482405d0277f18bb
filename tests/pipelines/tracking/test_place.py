import subprocess
from pathlib import Path

import pytest

from pipelines.tracking.place import main_work_tree, shown_uri, tracking_uri, without_secrets


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_default_store_is_in_the_main_work_tree_wherever_a_stage_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "tree"
    root.mkdir()
    git(root, "init", "--quiet")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "first")
    git(root, "worktree", "add", "--quiet", str(tmp_path / "other"))
    experiment = root / ".dvc" / "tmp" / "exps" / "tmpabc"
    experiment.mkdir(parents=True)
    for folder in (root, tmp_path / "other", experiment):
        assert main_work_tree(folder) == root
        assert tracking_uri(folder) == f"sqlite:///{root}/mlflow.db"


def test_without_git_the_folder_itself_is_it(tmp_path: Path) -> None:
    assert main_work_tree(tmp_path) == tmp_path


def test_the_environment_names_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    assert tracking_uri(tmp_path) == "https://tracking.example"


def test_what_is_printed_holds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:p@ss@tracking.example:8080/a@b")
    assert shown_uri(tmp_path) == "https://***@tracking.example:8080/a@b"


def test_every_address_in_a_sentence_is_without_secrets() -> None:
    text = "no 'postgresql://u:p@db/x' and no http://t@host/y; a@b is none"
    assert without_secrets(text) == "no 'postgresql://***@db/x' and no http://***@host/y; a@b is none"
