import platform
from pathlib import Path

import pytest

from pipelines.core.errors import TrainingError
from pipelines.running.ray import mark
from pipelines.running.ray.mark import FILE, Mark


class Clock:
    """A time that passes only while somebody sleeps; what comes is there after the first sleep."""

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
    monkeypatch.setattr(mark, "time", clock)
    return clock


def test_whoever_sees_the_folder_finds_the_mark_at_once(tmp_path: Path, clock: Clock) -> None:
    left = Mark.leave(tmp_path / "run" / "launch")
    Mark(**left.plain()).require()
    assert clock.now_s == 100.0
    assert [path.name for path in (tmp_path / "run" / "launch").iterdir()] == [FILE]


def test_a_mark_that_shows_late_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    left = Mark.leave(tmp_path / "here")
    clock.coming = (tmp_path / "here", tmp_path / "there")
    Mark(str(tmp_path / "there"), left.word).require()
    assert clock.coming is None


def test_a_folder_without_the_mark_is_refused(tmp_path: Path, clock: Clock) -> None:
    elsewhere = Mark(str(tmp_path / "there"), Mark.leave(tmp_path / "here").word)
    with pytest.raises(TrainingError) as told:
        elsewhere.require()
    said = str(told.value)
    assert f"expected node {platform.node()} to see the driver's folder {tmp_path / 'there'}" in said
    assert "got: No such file or directory; put the work tree on storage that every node mounts" in said
    assert "tunable doctor" in said
    assert clock.now_s > 100.0 + mark.VISIBLE_WITHIN_S


def test_the_mark_of_another_launch_is_refused(tmp_path: Path) -> None:
    before = Mark.leave(tmp_path)
    Mark.leave(tmp_path).require()
    with pytest.raises(TrainingError, match="got: another file"):
        before.require()
