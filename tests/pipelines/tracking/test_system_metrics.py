from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.tracking.run_folder import RunFolder
from pipelines.tracking.server import Server
from pipelines.tracking.system_metrics import SystemMetrics
from pipelines.tracking.uploader import Uploader
from pipelines.training.log import read_lines
from waiting import wait_until

pytestmark = pytest.mark.slow


def test_the_load_of_the_machine_is_sent_from_disk_if_asked_for(
    root: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(root / ".state" / "train-1")
    folder.begin("name", {}, group="train")
    quiet = SystemMetrics(folder.system)
    quiet.start()
    quiet.stop()
    assert not folder.system.exists()

    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.01")
    for _ in range(2):  # interrupted and resumed
        known = len(read_lines(folder.system)[0])
        measured = SystemMetrics(folder.system)
        measured.start()
        wait_until(lambda known=known: len(read_lines(folder.system)[0]) > known + 1)  # type: ignore[misc]
        measured.stop()
    uploader = Uploader(folder, Server(root))
    assert uploader.behind().points == len(read_lines(folder.system)[0])
    uploader.upload()
    history = client.get_metric_history(folder.sent().run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in history] == list(range(len(read_lines(folder.system)[0])))
    assert not uploader.behind()
