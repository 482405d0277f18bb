import subprocess
from pathlib import Path

import pytest

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout, find_main_work_tree


def work_tree(folder: Path, command: str = "tunable run train") -> Path:
    (folder / "dvc.yaml").write_text(f"stages: {{train: {{cmd: {command}}}}}")
    (folder / "params.yaml").touch()
    return folder


def test_found_from_any_folder_inside(tmp_path: Path) -> None:
    inside = work_tree(tmp_path) / "a" / "b"
    inside.mkdir(parents=True)
    assert Layout.find(inside) == Layout(tmp_path)
    assert Layout.find(inside).train == tmp_path / "artifacts" / "train"
    assert Layout(tmp_path).resume_command == "dvc repro"


def test_a_folder_with_parameters_alone_is_a_work_tree_of_its_own(tmp_path: Path) -> None:
    folder = work_tree(tmp_path) / "runs" / "noise"
    folder.mkdir(parents=True)
    (folder / "params.yaml").touch()
    assert Layout.find(folder) == Layout(folder)
    assert Layout(folder).resume_command == "tunable run all"
    below = folder / "artifacts"
    below.mkdir()
    assert Layout.find(below) == Layout(tmp_path)  # only where it is asked for


def test_outside_of_a_work_tree_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        Layout.find(tmp_path)


def test_another_dvc_project_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dvc\.yaml"):
        Layout.find(work_tree(tmp_path, "python train.py"))


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_state_and_store_are_the_main_work_trees_wherever_a_stage_runs(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    task = root / "runs" / "noise"
    task.mkdir(parents=True)
    (task / "params.yaml").touch()
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "first")
    git(root, "worktree", "add", "--quiet", str(tmp_path / "other"))
    experiment = root / ".dvc" / "tmp" / "exps" / "tmpabc"
    git(root, "clone", "--quiet", str(root), str(experiment))
    for folder in (root, tmp_path / "other", experiment):
        assert find_main_work_tree(folder) == root
        assert Layout(folder).state == root / ".state"
        assert Layout(folder).train == folder / "artifacts" / "train"
        assert Layout(folder).lock("train") == folder / ".state" / "train.lock"
        assert Layout(folder / "runs" / "noise").store == task / "zoo-store"
    (experiment / "new").mkdir()
    assert Layout(experiment / "new").main == experiment / "new"


def test_without_git_the_folder_itself_is_the_main_work_tree(tmp_path: Path) -> None:
    assert find_main_work_tree(tmp_path) == Layout(tmp_path).main == tmp_path
