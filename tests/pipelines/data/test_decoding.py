import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipelines.core.errors import DataError
from pipelines.data.decoding import decode_files
from pipelines.data.sources import PhotoFile, list_photos


@pytest.mark.slow
@pytest.mark.server
def test_several_processes_give_what_one_gives(tmp_path: Path, save: Any) -> None:
    for i in range(9):
        save(tmp_path / f"{i}.png", i, 40, 60 if i else 600)  # the first takes longest
    (tmp_path / "5.png").write_bytes(b"no picture")
    files = list_photos(str(tmp_path), tmp_path).files
    alone, together = (list(decode_files(files, 64, processes)) for processes in (1, 2))
    assert len(alone) == len(together) == 9
    for one, other in zip(alone, together, strict=True):
        assert (one.digest, one.phash, one.fault) == (other.digest, other.phash, other.fault)
        assert (one.rgb is None) == (other.rgb is None) == bool(one.fault)
        if one.rgb is not None and other.rgb is not None:
            np.testing.assert_array_equal(one.rgb, other.rgb)
    assert len({one.digest for one in alone}) == 9


@pytest.mark.slow
@pytest.mark.server
def test_a_process_that_dies_names_its_files(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "0.png", 0)
    [good] = list_photos(str(tmp_path), tmp_path).files
    deadly: Any = PhotoFile(signal.SIGKILL, SimpleNamespace(read=signal.raise_signal))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"SIGKILL.*prepare\.processes"):
        list(decode_files([good, deadly], None, 2))


def test_what_is_left_is_dropped_when_the_reader_stops(tmp_path: Path, save: Any) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.png", i)
    results = decode_files(list_photos(str(tmp_path), tmp_path).files, None)
    assert next(results).digest
    results.close()
    assert list(results) == []
