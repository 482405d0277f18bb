import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.core.errors import DataError, TrainingError, explain_full_disk, require_free_space


def test_what_fits_passes(tmp_path: Path) -> None:
    require_free_space(tmp_path, 1, "a byte")


def test_what_does_not_fit_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1000000000000 MB"):
        require_free_space(tmp_path, 10**18, "a photograph")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(DataError, match="free some"),
        explain_full_disk(tmp_path, "free some"),
    ):
        raise OSError(number, os.strerror(number))


def test_how_much_was_wanted_and_is_free_is_told_where_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=10**9, used=10**9, free=3 * 10**5)
    monkeypatch.setattr("pipelines.core.errors.shutil.disk_usage", lambda folder: usage)
    for number, got in (
        (errno.ENOSPC, "No space left on device (0.30 MB free now)"),
        (errno.EDQUOT, "quota"),
    ):
        with (
            pytest.raises(TrainingError, match="5 MB") as told,
            explain_full_disk(tmp_path, "free some", room="5 MB", kind=TrainingError),
        ):
            raise OSError(number, os.strerror(number))
        assert got in str(told.value)
        assert ("free now" in str(told.value)) == (number == errno.ENOSPC)


def test_a_folder_that_could_not_be_made_is_told_too(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="not-there"),
        explain_full_disk(tmp_path / "not-there", "free some"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), explain_full_disk(tmp_path, "free some"):
        raise PermissionError(errno.EACCES, "no")
