from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.tracking import EXPERIMENT, PUBLISHED, Tracker


def test_a_run_of_its_own_keeps_its_artefacts_beside_the_store(root: Path, client: MlflowClient) -> None:
    tracker = Tracker(root, "first", tags={"stage": "publish"})
    tracker.summary({"loss": 0.5, "best": {"is_all_on": True, "psnr": 30}}, step=7)
    (root / "note.txt").write_text("hello")
    tracker.artifact(root / "note.txt")
    assert client.get_run(tracker.run_id).info.status == "RUNNING"
    tracker.finish()

    run = client.get_run(tracker.run_id)
    assert run.data.metrics == {"loss": 0.5, "best.psnr": 30.0}
    assert run.data.tags["stage"] == "publish"
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    assert client.get_experiment_by_name(EXPERIMENT) is not None


def test_a_run_that_is_added_to_ended_when_it_did(root: Path, client: MlflowClient) -> None:
    first = Tracker(root, "first")
    first.finish("KILLED")
    ended = client.get_run(first.run_id).info
    second = Tracker(root, "second", run_id=first.run_id)
    second.summary({"psnr": 30.0}, step=1)
    second.finish()
    run = client.get_run(first.run_id)
    assert (second.run_id, run.data.metrics) == (first.run_id, {"psnr": 30.0})
    assert (run.info.status, run.info.end_time) == ("KILLED", ended.end_time)


def test_an_unknown_run_becomes_a_new_one(root: Path) -> None:
    tracker = Tracker(root, "first", run_id="0" * 32)
    assert tracker.run_id not in ("", "0" * 32)


def test_a_broken_store_is_told_once_with_what_to_do_and_fails_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    tracker = Tracker(root, "first", again="say it again")
    tracker.summary({"loss": 1.0}, step=1)
    tracker.artifact(root)
    assert tracker.register("name", root) == ""
    tracker.finish("FAILED")
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("tracking stopped: ")
    assert told.endswith("; to track it later: say it again")


def test_two_entries_of_one_run_stay_apart(root: Path, client: MlflowClient) -> None:
    tracker = Tracker(root, "first")
    for version in ("aaaa", "bbbb"):
        folder = root / version
        folder.mkdir()
        (folder / "manifest.json").write_text(version)
        assert tracker.register("model", folder)
    for number, version in (("1", "aaaa"), ("2", "bbbb")):
        registered = client.get_model_version("model", number)
        assert registered.tags == {"zoo_version": version}
        copied = Path(registered.source.removeprefix("file://")) / "manifest.json"
        assert copied.read_text() == version
    assert str(client.get_model_version_by_alias("model", PUBLISHED).version) == "2"
