import errno
import os
from pathlib import Path

import pytest

from pipelines.data.disk import check_room, full_disk_told
from pipelines.errors import DataError


def test_what_fits_passes(tmp_path: Path) -> None:
    check_room(tmp_path, 1, "a byte")


def test_what_does_not_fit_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected 1000000000000 MB free for a photograph in .*, got \d+ MB"):
        check_room(tmp_path, 10**18, "a photograph")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(DataError, match=r"expected room to write in .*; free some"),
        full_disk_told(tmp_path, "free some"),
    ):
        raise OSError(number, os.strerror(number))


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), full_disk_told(tmp_path, "free some"):
        raise PermissionError(errno.EACCES, "no")
