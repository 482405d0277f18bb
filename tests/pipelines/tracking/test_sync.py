from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.core.layout import Layout
from pipelines.tracking import EXPERIMENT
from pipelines.tracking.registry import CANDIDATE
from pipelines.tracking.run_folder import RunFolder
from pipelines.tracking.server import TrackingError
from pipelines.tracking.sync import sync_once, sync_work_tree


def end_run(path: Path, steps: int) -> RunFolder:
    folder = RunFolder(path)
    folder.begin(path.name, {})
    folder.log.write_text("".join(f'{{"step": {step}, "loss": 1.0}}\n' for step in range(steps)))
    folder.end("FINISHED")
    return folder


def publish(root: Path, version: str, extends: str = "") -> RunFolder:
    """Track a publication, as the stage does."""
    entry = root / version
    entry.mkdir(exist_ok=True)
    (entry / "manifest.json").write_text(version)
    folder = RunFolder(root / ".state" / f"publish-{version}")
    folder.begin("publish", {"stage": "publish"}, extends=extends, model=("model", version), group="test")
    folder.log.write_text('{"step": 7, "time_s": 1.5, "default": {"is_all_on": true, "psnr": 30}}\n')
    folder.hold(entry, "entry")
    folder.end("FINISHED")
    sync_once(folder, root)
    return folder


def test_every_run_that_is_behind_is_sent_and_reported(
    root: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(root)
    folders = [end_run(layout.state / "train-1", 1), end_run(layout.state / "search-1" / "trial-1", 2)]
    (layout.state / "train-0").mkdir()
    sync_work_tree(layout)
    trial, train = capsys.readouterr().out.splitlines()
    assert train == f"train-1: sent 1 point and its end; run {folders[0].sent().run_id}"
    assert trial == f"search-1/trial-1: sent 2 points and its end; run {folders[1].sent().run_id}"
    assert client.get_run(folders[1].sent().run_id).info.status == "FINISHED"
    sync_work_tree(layout)
    assert capsys.readouterr().out.splitlines() == ["search-1/trial-1: complete", "train-1: complete"]


def test_what_could_not_be_sent_is_an_error_that_names_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    end_run(Layout(root).state / "train-1", 3)
    with pytest.raises(TrackingError, match="train-1"):
        sync_work_tree(Layout(root))
    assert "train-1: still behind, 3 points and its end: sqlite:////dev/null" in capsys.readouterr().out


def test_a_publication_is_a_run_with_numbers_and_artefacts_beside_the_store(
    root: Path, client: MlflowClient
) -> None:
    run = client.get_run(publish(root, "aaaa").sent().run_id)
    assert run.data.metrics == {"test/default.psnr": 30.0}
    assert (run.data.tags["stage"], run.info.status) == ("publish", "FINISHED")
    assert run.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    assert client.get_experiment_by_name(EXPERIMENT) is not None


def test_a_publication_adds_to_a_run_and_leaves_its_end(root: Path, client: MlflowClient) -> None:
    first = end_run(root / ".state" / "train-1", 2)
    first.end("KILLED")
    sync_once(first, root)
    run_id = first.sent().run_id
    ended = client.get_run(run_id).info
    second = publish(root, "aaaa", extends=run_id)
    run = client.get_run(run_id)
    assert (second.sent().run_id, run.data.metrics["test/default.psnr"]) == (run_id, 30.0)
    assert (run.info.status, run.info.end_time) == ("KILLED", ended.end_time)
    assert run.info.run_name == "train-1"


def test_a_publication_of_an_unknown_run_becomes_a_new_run(root: Path) -> None:
    assert publish(root, "aaaa", extends="0" * 32).sent().run_id not in ("", "0" * 32)


def test_a_broken_store_is_reported_once_and_caught_up_later(
    root: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
        publish(root, "aaaa")
    (warning,) = [r.getMessage() for r in caplog.records if r.name.startswith("pipelines")]
    assert warning.endswith("tunable track")
    sync_work_tree(Layout(root))
    assert client.get_model_version_by_alias("model", CANDIDATE).tags["zoo_version"] == "aaaa"


def test_two_entries_of_one_run_stay_apart(root: Path, client: MlflowClient) -> None:
    first = publish(root, "aaaa")
    publish(root, "bbbb", extends=first.sent().run_id)
    for number, version in (("1", "aaaa"), ("2", "bbbb")):
        registered = client.get_model_version("model", number)
        assert registered.tags["zoo_version"] == version
        copied = Path(registered.source.removeprefix("file://")) / "manifest.json"
        assert copied.read_text() == version
    assert str(client.get_model_version_by_alias("model", CANDIDATE).version) == "2"
    publish(root, "aaaa")
    assert str(client.get_model_version_by_alias("model", CANDIDATE).version) == "1"
