import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.running.fingerprint import REPOSITORY, TRAINING_CODE, code_digest, compute_fingerprint


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
    base = compute_fingerprint({"lr": 0.1}, "data", "code")
    assert base == compute_fingerprint({"lr": 0.1}, "data", "code")
    others = [("lr", 0.2, "data", "code"), ("lr", 0.1, "other", "code"), ("lr", 0.1, "data", "other")]
    assert len({base, *(compute_fingerprint({k: v}, data, code) for k, v, data, code in others)}) == 4


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
