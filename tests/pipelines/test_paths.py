from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.paths import Layout


def test_found_from_any_folder_inside(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: python -m pipelines train}}")
    (tmp_path / "params.yaml").touch()
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    assert Layout.find(inside) == Layout(tmp_path)
    assert Layout.find(inside).train == tmp_path / "artifacts" / "train"


def test_outside_of_a_work_tree_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dvc\.yaml and params\.yaml"):
        Layout.find(tmp_path)


def test_another_dvc_project_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: python train.py}}")
    (tmp_path / "params.yaml").touch()
    with pytest.raises(ConfigError, match="this project's"):
        Layout.find(tmp_path)
