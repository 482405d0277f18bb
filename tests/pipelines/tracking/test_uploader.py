import json
import math
from dataclasses import fields
from itertools import count
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow import MlflowClient

from pipelines.tracking.run_folder import RunFolder, Sent
from pipelines.tracking.server import Server, TrackingError, UnknownRunError
from pipelines.tracking.uploader import Point, Uploader, read_points
from pipelines.training.log import Progress, RunLog

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(root: Path) -> RunFolder:
    folder = RunFolder(root / ".state" / "train-1")
    folder.begin("name", {"stage": "train"}, {"seed": 1}, None, group="train")
    return folder


SECONDS = count()


def log(folder: RunFolder, *steps: int, loss: float = 1.0, timed: bool = True) -> None:
    with folder.log.open("a") as file:
        for step in steps:
            time = {"time_s": next(SECONDS)} if timed else {}
            file.write(f"{json.dumps({'step': step, 'loss': loss, 'lr': 0.1, **time})}\n")


def steps(client: MlflowClient, folder: RunFolder, name: str = "train/loss") -> list[int]:
    return sorted(point.step for point in client.get_metric_history(folder.sent().run_id, name))


class Counting(Server):
    """Counts what it is asked."""

    asked = 0

    @property
    def _client(self) -> object:
        self.asked += 1
        return super()._client


def test_what_was_sent_is_not_sent_again(root: Path, folder: RunFolder, client: MlflowClient) -> None:
    server = Counting(root)
    uploader = Uploader(folder, server)
    log(folder, *range(1, 451))
    uploader.upload()
    asked = server.asked
    uploader.upload()
    assert (server.asked, bool(uploader.behind())) == (asked, False)
    assert steps(client, folder) == list(range(1, 451))


@pytest.mark.parametrize("together", [True, False])
def test_a_step_that_is_logged_again_is_sent_where_it_changed(
    root: Path, folder: RunFolder, client: MlflowClient, together: bool
) -> None:
    uploader = Uploader(folder, Server(root))
    log(folder, 1, 2, 3)
    if not together:
        uploader.upload()
    log(folder, 2)
    log(folder, 3, loss=0.5)
    log(folder, 4)
    uploader.upload()
    log(folder, 4)
    uploader.upload()
    assert steps(client, folder) == [1, 2, 3, 3, 4]
    assert steps(client, folder, "train/lr") == [1, 2, 3, 4]


def test_points_without_a_time_have_the_same_one_whenever_they_are_sent(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    log(folder, 1, 2, timed=False)
    for _ in range(2):
        Uploader(folder, Server(root)).upload()
        sent = folder.sent()
        folder.note(sent.model_copy(update={"log_bytes": 0, "top_step": -1}))  # killed before it was noted
    assert steps(client, folder) == [1, 2]


def test_a_run_whose_id_was_never_recorded_is_found_again(
    root: Path, folder: RunFolder, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr(RunFolder, "note", fail)
        with pytest.raises(OSError, match="No space"):
            Uploader(folder, Server(root)).upload()
    Uploader(folder, Server(root)).upload()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert [run.info.run_id for run in client.search_runs(experiments)] == [folder.sent().run_id]


def test_a_cursor_that_is_lost_midway_is_made_again(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    uploader = Uploader(folder, Server(root))
    log(folder, 1)
    uploader.upload()
    run_id = folder.sent().run_id
    (folder.path / "mlflow.json").unlink()
    log(folder, 2)
    uploader.upload()
    assert folder.sent().run_id == run_id
    assert steps(client, folder) == [1, 2]


def test_a_log_that_begins_anew_is_sent_from_its_start(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    uploader = Uploader(folder, Server(root))
    log(folder, 1, 2, 3)
    uploader.upload()
    folder.log.unlink()
    log(folder, 7)
    uploader.upload()
    assert steps(client, folder) == [1, 2, 3, 7]


def test_it_stops_between_two_calls_and_sends_no_end(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    log(folder, *range(1, 451))
    folder.end("FINISHED")
    looks = iter([False, True])
    Uploader(folder, Server(root), halt=lambda: next(looks, True)).upload()
    assert steps(client, folder) == list(range(1, 201))
    assert client.get_run(folder.sent().run_id).info.status == "RUNNING"
    uploader = Uploader(folder, Server(root))
    assert str(uploader.behind()) == "250 points and its end"
    uploader.upload()
    assert steps(client, folder) == list(range(1, 451))
    assert client.get_run(folder.sent().run_id).info.status == "FINISHED"


def test_what_the_server_refuses_does_not_keep_the_rest_from_it(
    root: Path, folder: RunFolder, client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(root)
    Uploader(folder, server).upload()
    folder.begin("name", {}, {"seed": 2}, None, group="train")
    folder.note(folder.sent().model_copy(update={"params": False}))
    log(folder, 1)
    folder.end("FINISHED")
    Uploader(folder, server).upload()
    assert "options" in caplog.text
    run = client.get_run(folder.sent().run_id)
    assert (run.data.params, run.data.metrics["train/loss"], run.info.status) == (
        {"seed": "1"},
        1.0,
        "FINISHED",
    )


def test_a_run_that_is_deleted_while_it_goes_on_is_made_again(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    uploader = Uploader(folder, Server(root))
    log(folder, 1)
    uploader.upload()
    first = folder.sent().run_id
    client.delete_run(first)
    log(folder, 2)
    with pytest.raises(UnknownRunError):
        uploader.upload()
    uploader.upload()
    assert folder.sent().run_id not in ("", first)
    assert steps(client, folder) == [1, 2]


def test_after_a_fault_it_asks_whether_the_run_is_still_there(
    root: Path, folder: RunFolder, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(root)
    uploader = Uploader(folder, server)
    uploader.upload()
    log(folder, 1)

    def fail(*_: object) -> None:
        raise TrackingError("down")

    with monkeypatch.context() as broken:
        broken.setattr(server, "values", fail)
        with pytest.raises(TrackingError, match="down"):
            uploader.upload()
    client.delete_run(folder.sent().run_id)  # another database answers afterwards
    uploader.upload()
    assert steps(client, folder) == [1]


def test_one_process_at_a_time(root: Path, folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "lock", lambda self: FileLock(self.path / "mlflow.lock", timeout=0))
    with (
        FileLock(folder.path / "mlflow.lock"),
        pytest.raises(TrackingError, match="train-1"),
    ):
        Uploader(folder, Server(root)).upload()
    assert folder.sent() == Sent()


def test_a_folder_without_a_plan_is_left_alone(root: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "old")
    folder.path.mkdir()
    folder.note(Sent(run_id="abc"))
    uploader = Uploader(folder, Server(root))
    uploader.upload()
    assert not uploader.behind()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_a_line_is_a_point_whatever_numbers_it_holds(file: Path) -> None:
    file.write_text(
        '{"step": 3, "time_s": 1.5, "loss": NaN, "at": {"x": 2}, "note": "n", "ok": true}\n{"step": 4}\n'
    )
    (first, second), end = read_points(file)
    assert (first.step, first.time_ms, first.values["at.x"]) == (3, 1500, 2.0)
    assert math.isnan(first.values.pop("loss"))
    assert list(first.values) == ["at.x"]
    assert second == Point(4, {}, None)
    assert end == file.stat().st_size


def test_points_of_the_run_log_are_read(tmp_path: Path) -> None:
    given = {"step": 3, "time_s": 1.5, "loss": 0.5, "shares": {"RMSE": 0.25}, "validation": {}}
    point = Progress(**dict.fromkeys((field.name for field in fields(Progress)), 1.0) | given)
    RunLog(tmp_path).append(point)
    for group, loss, share in (("", "loss", "shares.RMSE"), ("train", "train/loss", "train/loss_RMSE")):
        ((step, values, time_ms),) = read_points(tmp_path / "log.jsonl", group=group)[0]
        assert (step, time_ms, values[loss], values[share]) == (3, 1500, 0.5, 0.25)
        assert "time_s" not in values


def test_reading_goes_on_where_it_ended_and_waits_for_the_end_of_a_line(file: Path) -> None:
    assert read_points(file) == ([], 0)
    file.write_text('\n{"step": 1}\n\n{"step": 2}\n\n{"st')
    points, end = read_points(file)
    assert [point.step for point in points] == [1, 2]
    assert read_points(file, end) == ([], end)
    with file.open("a") as appended:
        appended.write('ep": 3}\n')
    assert [point.step for point in read_points(file, end)[0]] == [3]


def test_so_many_points_or_up_to_a_byte(file: Path) -> None:
    file.write_text("".join(f'\n{{"step": {step}}}\n' for step in range(9)))
    points, middle = read_points(file, limit=4)
    assert [point.step for point in points] == [0, 1, 2, 3]
    assert read_points(file, end=middle) == (points, middle)
    assert [point.step for point in read_points(file, middle)[0]] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("line", ['{"step": 1, "los', "[1]", '{"step": "1"}', '{"loss": 1}', "1", "\xff"])
def test_what_is_no_point_is_skipped(file: Path, line: str) -> None:
    file.write_text(
        f'{line}\n{{"step": 2, "time_s": "noon"}}\n{{"step": 3, "time_s": NaN}}\n', encoding="latin-1"
    )
    assert read_points(file)[0] == [Point(2, {}, None), Point(3, {}, None)]


def test_a_run_of_an_earlier_version_is_completed_under_the_names_of_today(
    root: Path, folder: RunFolder, client: MlflowClient
) -> None:
    path = folder.path / "tracking.json"
    plan = json.loads(path.read_text())
    new = ("group", "datasets", "experiment", "description")
    path.write_text(json.dumps({key: value for key, value in plan.items() if key not in new}))
    log(folder, 1, 2)
    Uploader(folder, Server(root)).upload()
    assert steps(client, folder, "loss") == [1, 2]
    folder.begin("name", {"stage": "train", "task": "denoise"}, {"seed": 1}, None, group="train")
    log(folder, 3)
    Uploader(folder, Server(root)).upload()
    assert steps(client, folder, "loss") == [1, 2]
    assert steps(client, folder) == [1, 2, 3]
    assert client.get_run(folder.sent().run_id).data.tags["task"] == "denoise"
    assert folder.plan() is not None
    assert not Uploader(folder, Server(root)).behind()


def test_the_environment_names_the_experiment_when_a_run_begins_not_when_it_is_sent(
    root: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(root / ".state" / "train-2")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team")
    folder.begin("name", {})
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    Uploader(folder, Server(root)).upload()
    run = client.get_run(folder.sent().run_id)
    assert client.get_experiment(run.info.experiment_id).name == "team"
