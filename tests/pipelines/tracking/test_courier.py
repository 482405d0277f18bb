import json
from itertools import count
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow import MlflowClient

from pipelines.tracking.courier import Courier
from pipelines.tracking.errors import ForgottenError, TrackingError
from pipelines.tracking.folder import RunFolder, Sent
from pipelines.tracking.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(root: Path) -> RunFolder:
    folder = RunFolder(root / ".state" / "train-1")
    folder.begin("name", {}, {"seed": 1}, None)
    return folder


SECONDS = count()


def log(folder: RunFolder, *steps: int, loss: float = 1.0, timed: bool = True) -> None:
    with folder.log.open("a") as file:
        for step in steps:
            time = {"time_s": next(SECONDS)} if timed else {}
            file.write(f"{json.dumps({'step': step, 'loss': loss, 'lr': 0.1, **time})}\n")


def steps(client: MlflowClient, folder: RunFolder, name: str = "loss") -> list[int]:
    return sorted(point.step for point in client.get_metric_history(folder.sent().run_id, name))


class Counting(Server):
    """Counts what it is asked."""

    asked = 0

    @property
    def _client(self) -> object:
        self.asked += 1
        return super()._client


def test_what_is_there_is_not_said_again(root: Path, folder: RunFolder, client: MlflowClient) -> None:
    server = Counting(root)
    courier = Courier(folder, server)
    log(folder, *range(1, 451))
    courier.deliver()
    asked = server.asked
    courier.deliver()
    assert (server.asked, bool(courier.behind())) == (asked, False)
    assert steps(client, folder) == list(range(1, 451))


@pytest.mark.parametrize("together", [True, False])
def test_a_step_that_is_logged_again_is_sent_where_it_changed(
    root: Path, folder: RunFolder, client: MlflowClient, together: bool
) -> None:
    courier = Courier(folder, Server(root))
    log(folder, 1, 2, 3)
    if not together:
        courier.deliver()
    log(folder, 2)
    log(folder, 3, loss=0.5)
    log(folder, 4)
    courier.deliver()
    log(folder, 4)
    courier.deliver()
    assert steps(client, folder) == [1, 2, 3, 3, 4]
    assert steps(client, folder, "lr") == [1, 2, 3, 4]


def test_points_without_a_time_have_the_same_one_whenever_they_are_sent(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    log(folder, 1, 2, timed=False)
    for _ in range(2):
        Courier(folder, Server(root)).deliver()
        sent = folder.sent()
        folder.note(sent.model_copy(update={"log_bytes": 0, "top_step": -1}))  # killed before it was noted
    assert steps(client, folder) == [1, 2]


def test_a_run_whose_id_was_never_written_down_is_found_again(
    root: Path, folder: RunFolder, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr(RunFolder, "note", fail)
        with pytest.raises(OSError, match="No space"):
            Courier(folder, Server(root)).deliver()
    Courier(folder, Server(root)).deliver()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert [run.info.run_id for run in client.search_runs(experiments)] == [folder.sent().run_id]


def test_a_cursor_that_is_lost_midway_is_made_again(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    courier = Courier(folder, Server(root))
    log(folder, 1)
    courier.deliver()
    run_id = folder.sent().run_id
    (folder.path / "mlflow.json").unlink()
    log(folder, 2)
    courier.deliver()
    assert folder.sent().run_id == run_id
    assert steps(client, folder) == [1, 2]


def test_a_log_that_begins_anew_is_sent_from_its_start(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    courier = Courier(folder, Server(root))
    log(folder, 1, 2, 3)
    courier.deliver()
    folder.log.unlink()
    log(folder, 7)
    courier.deliver()
    assert steps(client, folder) == [1, 2, 3, 7]


def test_it_stops_between_two_calls_and_says_no_end(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    log(folder, *range(1, 451))
    folder.end("FINISHED")
    looks = iter([False, True])
    Courier(folder, Server(root), halt=lambda: next(looks, True)).deliver()
    assert steps(client, folder) == list(range(1, 201))
    assert client.get_run(folder.sent().run_id).info.status == "RUNNING"
    courier = Courier(folder, Server(root))
    assert str(courier.behind()) == "250 points and its end"
    courier.deliver()
    assert steps(client, folder) == list(range(1, 451))
    assert client.get_run(folder.sent().run_id).info.status == "FINISHED"


def test_what_the_server_refuses_does_not_keep_the_rest_from_it(
    root: Path, folder: RunFolder, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(root)
    Courier(folder, server).deliver()
    folder.begin("name", {}, {"seed": 2}, None)
    folder.note(folder.sent().model_copy(update={"params": False}))
    log(folder, 1)
    folder.end("FINISHED")
    Courier(folder, server).deliver()
    assert "tracking: options left out" in capsys.readouterr().err
    run = client.get_run(folder.sent().run_id)
    assert (run.data.params, run.data.metrics["loss"], run.info.status) == ({"seed": "1"}, 1.0, "FINISHED")


def test_a_run_that_is_deleted_while_it_goes_on_is_made_again(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    courier = Courier(folder, Server(root))
    log(folder, 1)
    courier.deliver()
    first = folder.sent().run_id
    client.delete_run(first)
    log(folder, 2)
    with pytest.raises(ForgottenError):
        courier.deliver()
    courier.deliver()
    assert folder.sent().run_id not in ("", first)
    assert steps(client, folder) == [1, 2]


def test_after_a_fault_it_asks_whether_the_run_is_still_there(
    root: Path, folder: RunFolder, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(root)
    courier = Courier(folder, server)
    courier.deliver()
    log(folder, 1)

    def fail(*_: object) -> None:
        raise TrackingError("down")

    with monkeypatch.context() as broken:
        broken.setattr(server, "values", fail)
        with pytest.raises(TrackingError, match="down"):
            courier.deliver()
    client.delete_run(folder.sent().run_id)  # another database answers afterwards
    courier.deliver()
    assert steps(client, folder) == [1]


def test_one_process_at_a_time(root: Path, folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "alone", lambda self: FileLock(self.path / "mlflow.lock", timeout=0))
    with (
        FileLock(folder.path / "mlflow.lock"),
        pytest.raises(TrackingError, match="another process is sending train-1"),
    ):
        Courier(folder, Server(root)).deliver()
    assert folder.sent() == Sent()


def test_a_folder_without_a_plan_is_left_alone(root: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "old")
    folder.path.mkdir()
    folder.note(Sent(run_id="abc"))
    courier = Courier(folder, Server(root))
    courier.deliver()
    assert not courier.behind()
