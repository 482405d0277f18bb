from pathlib import Path

import pytest

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout


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
