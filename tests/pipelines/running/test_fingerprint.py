import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.running.fingerprint import (
    REPOSITORY,
    TRAINING_CODE,
    code_digest,
    code_digests,
    compute_fingerprint,
)

SOURCE = """class A(int):
    def f(self, x: int, *, y: float = 1e-3) -> str:
        return f"{x!r:>{y}}" f" and {self} " "text"
"""
DIGEST = "d2f1f0e0f94d5d7f3269dda9580765e926d3a693d46b56dfee9c0791de499a2d"
"""What Python 3.11.7, 3.12.1 and 3.13.0 make of it."""


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    """Copies the training code into a folder of that name."""

    def copied(name: str) -> Path:
        for item in TRAINING_CODE:
            copy = shutil.copytree if (REPOSITORY / item).is_dir() else shutil.copy
            (tmp_path / name / item).parent.mkdir(parents=True, exist_ok=True)
            copy(REPOSITORY / item, tmp_path / name / item)
        return tmp_path / name

    return copied


def test_options_data_and_code_all_count() -> None:
    base = compute_fingerprint({"lr": 0.1}, "data", {"a.py": "1"})
    assert base == compute_fingerprint({"lr": 0.1}, "data", {"a.py": "1"})
    others = [
        ({"lr": 0.2}, "data", {"a.py": "1"}),
        ({"lr": 0.1}, "other", {"a.py": "1"}),
        ({"lr": 0.1}, "data", {"a.py": "2"}),
    ]
    assert len({base, *(compute_fingerprint(*parts) for parts in others)}) == 4


def test_the_digest_of_code_is_the_same_in_all_versions_of_python(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    assert code_digests(tmp_path, ("a.py",)) == {"a.py": DIGEST}


def test_other_tasks_and_architectures_do_not_count(copied: Callable[[str], Path]) -> None:
    used = ("pipelines.tasks.super_resolution", "tunable_models.architectures.swinir")
    root = copied("used")
    counted = set(code_digests(root, used=used))
    folders = {path: path.rpartition("/")[0] for path in counted}
    assert {Path(path).stem for path, folder in folders.items() if folder == "pipelines/tasks"} == {
        "degradations",
        "registry",
        "super_resolution",
        "task",
        "distances",
        "trunks",
    }
    assert "tunable_models/architectures/window_attention.py" in counted
    assert "tunable_models/architectures/edsr.py" not in counted
    assert counted < set(code_digests(root))


@pytest.mark.slow
def test_comments_and_docstrings_do_not_count_and_code_does(copied: Callable[[str], Path]) -> None:
    commented, changed = copied("commented"), copied("changed")
    loop = Path("pipelines/training/loop.py")
    text = (REPOSITORY / loop).read_text()
    (commented / loop).write_text("# a comment\n\n" + text.replace('"""', '"""Words. ', 1))
    (changed / loop).write_text(text + "\nVALUE = 1\n")
    assert code_digest(copied("same")) == code_digest(commented) == code_digest()
    assert code_digest(changed) != code_digest()


def test_a_new_file_counts(copied: Callable[[str], Path]) -> None:
    more = copied("more")
    (more / "tunable_models" / "new.py").write_text("")
    assert code_digest(more) != code_digest()


def test_the_code_is_that_of_the_processs_start(copied: Callable[[str], Path]) -> None:
    edited = copied("edited")
    before = code_digest(edited)
    (edited / "pipelines" / "training" / "loop.py").write_text("VALUE = 1\n")
    assert code_digest(edited) == before
