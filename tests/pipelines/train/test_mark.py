import platform
import threading
import time
from pathlib import Path

import pytest

from pipelines.errors import TrainingError
from pipelines.train import mark
from pipelines.train.mark import FILE, Mark


def test_whoever_sees_the_folder_finds_the_mark_at_once(tmp_path: Path) -> None:
    left = Mark.leave(tmp_path / "run" / "launch")
    begun = time.monotonic()
    Mark(**left.plain()).require()
    assert time.monotonic() - begun < mark.VISIBLE_WITHIN_S / 2
    assert [path.name for path in (tmp_path / "run" / "launch").iterdir()] == [FILE]


def test_a_mark_that_shows_late_is_waited_for(tmp_path: Path) -> None:
    left = Mark.leave(tmp_path / "here")
    elsewhere = Mark(str(tmp_path / "there"), left.word)
    late = threading.Timer(0.5, (tmp_path / "here").rename, (tmp_path / "there",))
    late.start()
    elsewhere.require()
    late.join()


def test_a_folder_without_the_mark_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark, "VISIBLE_WITHIN_S", 0.2)
    elsewhere = Mark(str(tmp_path / "there"), Mark.leave(tmp_path / "here").word)
    with pytest.raises(TrainingError) as told:
        elsewhere.require()
    said = str(told.value)
    assert f"expected node {platform.node()} to see the driver's folder {tmp_path / 'there'}" in said
    assert "got: No such file or directory; put the work tree on storage that every node mounts" in said
    assert "tunable doctor" in said


def test_the_mark_of_another_launch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark, "VISIBLE_WITHIN_S", 0.2)
    before = Mark.leave(tmp_path)
    Mark.leave(tmp_path).require()
    with pytest.raises(TrainingError, match="got: another file"):
        before.require()
