import json
from pathlib import Path

import pytest

from pipelines.tracking.run_folder import Behind, RunFolder, Sent


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "train-1")
    folder.begin("name", {"a": "b"}, {"c": {"d": 1}}, None)
    return folder


def test_a_run_that_goes_on_keeps_its_key_and_start_and_no_two_share_one(
    folder: RunFolder, tmp_path: Path
) -> None:
    first = folder.plan()
    assert first is not None
    folder.end("KILLED")
    folder.begin("again", {}, {}, tmp_path / "above")
    second = folder.plan()
    assert second is not None
    assert (second.key, second.started_ms) == (first.key, first.started_ms)
    assert (second.name, second.status, second.ended_ms, second.parent) == (
        "again",
        "RUNNING",
        None,
        "../above",
    )
    assert first.params == {"c.d": "1"}
    other = RunFolder(tmp_path / "train-2")
    other.begin("name", {}, {}, "an id")
    plan = other.plan()
    assert plan is not None
    assert (plan.key == first.key, plan.parent) == (False, "an id")


def test_what_an_earlier_version_wrote_down_is_understood(folder: RunFolder) -> None:
    (folder.path / "mlflow.json").write_text('{"run_id": "abc"}')
    assert folder.sent() == Sent(run_id="abc")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"run_id": 3}'])
def test_a_damaged_note_is_none(folder: RunFolder, damage: str) -> None:
    folder.note(Sent(run_id="abc", pictures={"a.png": 1}))
    assert folder.sent().pictures == {"a.png": 1}
    (folder.path / "mlflow.json").write_text(damage)
    assert folder.sent() == Sent()
    (folder.path / "tracking.json").write_text(damage)
    assert folder.plan() is None


def test_the_outbox_keeps_this_runs_artefacts(folder: RunFolder, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "plots").mkdir(parents=True)
    (made / "plots" / "a.csv").write_text("this run's")
    (made / "plots" / "b.csv").write_text("b")
    for _ in range(2):  # of a file by itself nothing is left over
        folder.hold(made / "plots")
        folder.hold(made / "plots" / "b.csv")
    (made / "plots" / "a.csv").unlink()
    (made / "plots" / "a.csv").write_text("another run's")
    held = {path.relative_to(folder.outbox).as_posix(): path.read_text() for path in folder.held()}
    assert held == {"b.csv": "b", "plots/a.csv": "this run's", "plots/b.csv": "b"}
    assert len([path for path in folder.outbox.rglob("*") if path.is_file()]) == 3


def test_where_a_disk_has_no_links_artefacts_are_copied(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "a.csv").write_text("a")
    folder.hold(tmp_path / "a.csv")
    assert [path.read_text() for path in folder.held()] == ["a"]


def test_pictures_that_were_drawn_again_are_new(folder: RunFolder) -> None:
    samples = folder.path / "samples"
    samples.mkdir()
    for name in ("step-1.png", "step-2.png", ".tmp-0"):
        (samples / name).write_bytes(b"")
    written = (samples / "step-1.png").stat().st_mtime_ns
    sent = Sent(pictures={"step-1.png": written, "step-2.png": 0})
    assert [picture.name for picture in folder.pictures(sent)] == ["step-2.png"]
    assert len(folder.pictures(Sent())) == 2


def test_how_much_is_missing_is_a_phrase() -> None:
    assert str(Behind(points=1, files=0, end=False)) == "1 point"
    assert str(Behind(points=2, files=1, end=True)) == "2 points, 1 file and its end"
    assert str(Behind(points=0, files=0, end=False)) == "nothing"
    assert not Behind(points=0, files=0, end=False)
    assert Behind(points=0, files=0, end=True)


def test_notes_are_plain_json(folder: RunFolder) -> None:
    assert json.loads((folder.path / "tracking.json").read_text())["tags"] == {"a": "b"}
