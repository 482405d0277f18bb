from pathlib import Path

import pytest
from filelock import FileLock

from pipelines.core import locks
from pipelines.core.errors import PipelineError
from pipelines.core.locks import hold_lock


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.lock"
    path.parent.mkdir()
    first = FileLock(path, thread_local=False)
    first.acquire()
    told: list[str] = []

    def end_the_first(message: str) -> None:
        told.append(message)
        first.release()

    with hold_lock(path, "run", end_the_first), pytest.raises(locks.Timeout):
        FileLock(path).acquire(timeout=0)
    FileLock(path).acquire(timeout=0)
    assert told == ["another run is running; waiting for it to end"]


def test_one_that_does_not_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TIMEOUT_S", 0.1)
    with (
        FileLock(tmp_path / "run.lock"),
        pytest.raises(PipelineError, match="still running"),
        hold_lock(tmp_path / "run.lock", "run", lambda message: None),
    ):
        pass
