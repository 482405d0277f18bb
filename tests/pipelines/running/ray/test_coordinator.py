import pickle
import platform
from pathlib import Path

import pytest

from pipelines.core.errors import TrainingError
from pipelines.running.ray import coordinator
from pipelines.running.ray.coordinator import PROBE_FILE, DirectoryProbe


class Clock:
    """Time that passes only in sleep; the first sleep also makes the expected folder appear."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.coming: tuple[Path, Path] | None = None

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, pause_s: float) -> None:
        self.now_s += pause_s
        if self.coming:
            self.coming[0].rename(self.coming[1])
            self.coming = None


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(coordinator, "time", clock)
    return clock


def test_a_node_that_sees_the_folder_finds_the_probe_at_once(tmp_path: Path, clock: Clock) -> None:
    written = DirectoryProbe.write(tmp_path / "run" / "launch")
    pickle.loads(pickle.dumps(written)).check()
    assert clock.now_s == 100.0
    assert [path.name for path in (tmp_path / "run" / "launch").iterdir()] == [PROBE_FILE]


def test_a_probe_that_appears_late_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    written = DirectoryProbe.write(tmp_path / "here")
    clock.coming = (tmp_path / "here", tmp_path / "there")
    DirectoryProbe(tmp_path / "there", written.token).check()
    assert clock.coming is None


def test_a_folder_without_the_probe_is_refused(tmp_path: Path, clock: Clock) -> None:
    elsewhere = DirectoryProbe(tmp_path / "there", DirectoryProbe.write(tmp_path / "here").token)
    with pytest.raises(TrainingError) as told:
        elsewhere.check()
    said = str(told.value)
    assert platform.node() in said
    assert str(tmp_path / "there") in said
    assert "tunable doctor" in said
    assert clock.now_s > 100.0 + coordinator.VISIBLE_WITHIN_S


def test_the_probe_of_another_launch_is_refused(tmp_path: Path) -> None:
    before = DirectoryProbe.write(tmp_path)
    DirectoryProbe.write(tmp_path).check()
    with pytest.raises(TrainingError, match="another file"):
        before.check()
