from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.doctor import scratch


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def disk(monkeypatch: pytest.MonkeyPatch, total: int, free: int) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(total, total - free, free))


def test_dockers_default_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, 64 * 2**20, 64 * 2**20)
    [found] = scratch.shared_memory(tmp_path)
    assert found.level == "warning"
    assert "67.1 MB" in found.message
    assert "--shm-size" in found.remedy
    disk(monkeypatch, 10**9, 10**9)
    assert scratch.shared_memory(tmp_path)[0].level == "ok"


def test_a_system_without_it_is_told(tmp_path: Path) -> None:
    assert scratch.shared_memory(tmp_path / "shm")[0].level == "warning"


@pytest.mark.parametrize(
    ("total", "free", "level"),
    [(10**12, 10**11, "ok"), (10**12, 10**10, "warning"), (5 * 10**9, 10**8, "warning")],
)
def test_ray_stores_nothing_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, level: str
) -> None:
    disk(monkeypatch, total, free)
    assert scratch.temporary(tmp_path)[0].level == level


def test_rays_own_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert str(tmp_path) in scratch.temporary()[0].message
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "gone"))
    assert scratch.temporary()[0].level == "fault"
