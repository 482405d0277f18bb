import fcntl
import os
from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import DataError
from pipelines.data.mapping import mapped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pixels.bin"
    path.write_bytes(bytes(range(200)))
    return path


def is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_bytes_of_the_file_are_read_only(path: Path) -> None:
    found = mapped(path, 200)
    np.testing.assert_array_equal(found, np.arange(200))
    assert not found.flags.writeable
    assert not is_locked(path)


def test_the_lock_lasts_as_long_as_a_view(path: Path) -> None:
    view = mapped(path, 200, shared=True)[10:20]
    assert is_locked(path)
    assert view.tolist() == list(range(10, 20))
    del view
    assert not is_locked(path)


def test_what_is_mapped_outlives_its_name(path: Path) -> None:
    found = mapped(path, 200)
    path.unlink()
    assert found[199] == 199


def test_a_file_of_another_size_is_an_error(path: Path) -> None:
    os.truncate(path, 150)
    with pytest.raises(DataError, match=r"expected 200 bytes in pixels.bin .*got 150"):
        mapped(path, 200)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mapped(tmp_path / "none", 1)


def test_open_files_do_not_pile_up(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(2000):
        mapped(path, 200)
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1
