from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.core.layout import Layout
from pipelines.tracking.catch_up import run
from pipelines.tracking.errors import TrackingError
from pipelines.tracking.folder import RunFolder


def ended(path: Path, steps: int) -> RunFolder:
    folder = RunFolder(path)
    folder.begin(path.name, {}, {}, None)
    folder.log.write_text("".join(f'{{"step": {step}, "loss": 1.0}}\n' for step in range(steps)))
    folder.end("FINISHED")
    return folder


def test_every_run_that_is_behind_is_sent_and_said(
    root: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(root)
    folders = [ended(layout.state / "train-1", 1), ended(layout.state / "search-1" / "trial-1", 2)]
    (layout.state / "train-0").mkdir()
    run(layout)
    trial, train = capsys.readouterr().out.splitlines()
    assert train == f"train-1: sent 1 point and its end; run {folders[0].sent().run_id}"
    assert trial == f"search-1/trial-1: sent 2 points and its end; run {folders[1].sent().run_id}"
    assert client.get_run(folders[1].sent().run_id).info.status == "FINISHED"
    run(layout)
    assert capsys.readouterr().out.splitlines() == ["search-1/trial-1: all there", "train-1: all there"]


def test_what_could_not_be_sent_is_an_error_that_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    ended(Layout(root).state / "train-1", 3)
    with pytest.raises(TrackingError, match=r"did not take train-1; run this again"):
        run(Layout(root))
    assert "train-1: still behind, 3 points and its end: sqlite:////dev/null" in capsys.readouterr().out
