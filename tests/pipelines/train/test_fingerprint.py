import shutil
from pathlib import Path

import pytest

from pipelines.train.fingerprint import REPOSITORY, TRAINING_CODE, code_digest, fingerprint


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for item in TRAINING_CODE:
        copy = shutil.copytree if (REPOSITORY / item).is_dir() else shutil.copy
        (tmp_path / item).parent.mkdir(parents=True, exist_ok=True)
        copy(REPOSITORY / item, tmp_path / item)
    return tmp_path


def test_options_data_and_code_all_count() -> None:
    base = fingerprint({"lr": 0.1}, "data", "code")
    assert base == fingerprint({"lr": 0.1}, "data", "code")
    others = [("lr", 0.2, "data", "code"), ("lr", 0.1, "other", "code"), ("lr", 0.1, "data", "other")]
    assert len({base, *(fingerprint({k: v}, data, code) for k, v, data, code in others)}) == 4


def test_comments_do_not_count_and_code_does(copied: Path) -> None:
    before = code_digest(copied)
    assert before == code_digest()
    loop = copied / "pipelines" / "train" / "loop.py"
    loop.write_text("# a comment\n\n" + loop.read_text())
    assert code_digest(copied) == before
    loop.write_text(loop.read_text() + "\nVALUE = 1\n")
    assert code_digest(copied) != before


def test_a_new_file_counts(copied: Path) -> None:
    before = code_digest(copied)
    (copied / "tunable_models" / "new.py").write_text("")
    assert code_digest(copied) != before
