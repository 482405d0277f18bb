from pathlib import Path

import pytest

from full_disk import full
from pipelines.core.errors import TrainingError
from pipelines.running.startup import Startup, read_startup


def test_parts_are_left_in_order(tmp_path: Path) -> None:
    assert read_startup(tmp_path) == {}
    there = Startup().mark("cluster")
    there.mark("workers").mark("network").write(tmp_path)
    parts = read_startup(tmp_path)
    assert list(parts) == ["cluster", "workers", "network"]
    assert all(0 <= seconds < 5 for seconds in parts.values())


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.running.startup.write_json_atomic", full)
    with pytest.raises(TrainingError, match=rf"{tmp_path}.*No space"):
        Startup().mark("cluster").write(tmp_path)
