import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.tracking import EXPERIMENT, PUBLISHED, Tracker, main_work_tree, tracking_uri


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "tree"
    root.mkdir()
    git(root, "init", "--quiet")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "first")
    return root


def test_the_default_store_is_in_the_main_work_tree_wherever_a_stage_runs(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "--quiet", str(tmp_path / "other"))
    experiment = root / ".dvc" / "tmp" / "exps" / "tmpabc"
    experiment.mkdir(parents=True)
    for folder in (root, tmp_path / "other", experiment):
        assert main_work_tree(folder) == root
        assert tracking_uri(folder) == f"sqlite:///{root}/mlflow.db"


def test_without_git_the_folder_itself_is_it(tmp_path: Path) -> None:
    assert main_work_tree(tmp_path) == tmp_path


def test_the_environment_names_a_server(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    assert tracking_uri(root) == "https://tracking.example"


def test_a_run_goes_on_and_keeps_its_artefacts_beside_the_store(root: Path) -> None:
    tracker = Tracker(root, "first", tags={"stage": "train"})
    tracker.params({"a": {"b": 1}})
    tracker.metrics([(step, {"loss": step / 2}) for step in range(1500)])
    (root / "note.txt").write_text("hello")
    tracker.artifact(root / "note.txt")
    again = Tracker(root, "first", run_id=tracker.run_id)
    again.finish()
    assert again.run_id == tracker.run_id

    client = MlflowClient(tracking_uri(root))
    run = client.get_run(tracker.run_id)
    assert run.data.params == {"a.b": "1"}
    assert run.data.metrics["loss"] == 749.5
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    assert client.get_experiment_by_name(EXPERIMENT) is not None


def test_an_unknown_run_becomes_a_new_one(root: Path) -> None:
    tracker = Tracker(root, "first", run_id="0" * 32)
    assert tracker.run_id not in ("", "0" * 32)


def test_a_broken_store_is_told_once_and_fails_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    tracker = Tracker(root, "first")
    tracker.params({"a": 1})
    tracker.metrics([(1, {"loss": 1.0})])
    tracker.artifact(root)
    assert tracker.register("name", root) == ""
    tracker.finish("FAILED")
    assert capsys.readouterr().err.count("tracking stopped") == 1


def test_two_entries_of_one_run_stay_apart(root: Path) -> None:
    tracker = Tracker(root, "first")
    for version in ("aaaa", "bbbb"):
        folder = root / version
        folder.mkdir()
        (folder / "manifest.json").write_text(version)
        assert tracker.register("model", folder)
    client = MlflowClient(tracking_uri(root))
    for number, version in (("1", "aaaa"), ("2", "bbbb")):
        registered = client.get_model_version("model", number)
        assert registered.tags == {"zoo_version": version}
        copied = Path(registered.source.removeprefix("file://")) / "manifest.json"
        assert copied.read_text() == version
    assert str(client.get_model_version_by_alias("model", PUBLISHED).version) == "2"
