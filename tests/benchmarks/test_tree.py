from pathlib import Path

import pytest

from benchmarks.tree import count_import_circles, main, measure_files, measure_tree

FILES = {
    "pipelines/__init__.py": "",
    "pipelines/search/stage.yaml": "stages: {search: {deps: [pipelines/a.py, pipelines/folder]}}",
    "pipelines/a.py": "from pipelines import b\ndef run(): ...\ndef read_file(): ...\n",
    "pipelines/b.py": "import pipelines.c\ndef _told(): ...\n",
    "pipelines/c.py": "def _write_all():\n    from pipelines import a\n",
    "tunable_models/__init__.py": "\n" * 99,
    "zoo/__init__.py": "",
    "dvc.yaml": "stages: {train: {deps: [data, pipelines/a.py]}}",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "one" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "one"


def test_a_tree_in_numbers(root: Path) -> None:
    found = measure_tree(root)
    assert found["files"] == 6
    assert found["lines"] == 3 + 2 + 2 + 99
    assert found["short"] == 83  # five of six
    assert found["short_modules"] == 100
    assert found["one_word"] == 50  # run and _told
    assert found["stage_deps"] == 2
    assert found["circles"] == 0
    assert found["packages"]["tunable_models"]["median"] == 99


def test_circles_are_found_and_a_functions_own_import_is_none(root: Path) -> None:
    (root / "pipelines/c.py").write_text("from pipelines.a import run\n")
    paths = sorted((root / "pipelines").glob("*.py"))
    assert count_import_circles(root, paths) == 1


def test_files_without_functions(root: Path) -> None:
    assert measure_files([root / "zoo/__init__.py"])["one_word"] == 0


def test_the_page_has_a_column_for_each_checkout(root: Path, tmp_path: Path) -> None:
    main([str(root), "--out", str(tmp_path / "out")])
    page = (tmp_path / "out" / "tree.md").read_text()
    assert "|  | one |" in page
    assert "| Python files named in dvc.yaml | 2 |" in page
