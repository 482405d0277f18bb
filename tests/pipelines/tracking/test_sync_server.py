import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric
from PIL import Image

from file_server import closed_port
from pipelines.core.layout import Layout
from pipelines.tracking import EXPERIMENT
from pipelines.tracking.context import describe_context
from pipelines.tracking.registry import CANDIDATE, CHAMPION, promote_version
from pipelines.tracking.run_folder import Dataset, RunFolder, Status
from pipelines.tracking.server import TrackingError
from pipelines.tracking.sync import RunSync, sync_once, sync_work_tree
from pipelines.tracking.uploader import Uploader
from tracking_servers import RealServer, failing_server, passing_server, real_server, silent_server
from waiting import UNREACHED_S, wait_until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a server that is down again soon, and wait for one that is slow because the machine is busy."""
    monkeypatch.setattr("pipelines.tracking.sync.LONGEST_PAUSE_S", 1.0)
    monkeypatch.setattr(RunFolder, "lock", lambda self: FileLock(self.path / "mlflow.lock"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(UNREACHED_S))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def up(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    return MlflowClient(server.uri)


@pytest.fixture
def run(tmp_path: Path) -> "Run":
    return Run(tmp_path / ".state" / "train-0123456789abcdef")


class Run:
    """What a training run leaves in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "samples").mkdir(parents=True)

    def log(self, *steps: int, loss: float = 1.0) -> None:
        with (self.folder / "log.jsonl").open("a") as log:
            for step in steps:
                point = {
                    "step": step,
                    "time_s": time.time(),
                    "loss": loss / step,
                    "at": {"denoise": float(step)},
                }
                log.write(f"\n{json.dumps(point)}\n")

    def logged(self) -> list[tuple[int, int]]:
        lines = (self.folder / "log.jsonl").read_text().splitlines()
        points = [json.loads(line) for line in lines if line]
        return [(point["step"], round(1000 * point["time_s"])) for point in points]

    def picture(self, step: int) -> None:
        Image.new("RGB", (8, 8)).save(self.folder / "samples" / f"step-{step}.png")

    def artefact(self, text: str = "weights") -> Path:
        path = self.folder.parents[1] / "artifacts" / "model.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)  # an artefact is replaced, never changed
        path.write_text(text)
        return path

    def sync(self, **options: object) -> RunSync:
        root = self.folder.parents[1]
        return RunSync(self.folder, root, self.folder.name[:14], {"seed": 1}, every_s=0.05, **options)  # type: ignore[arg-type]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Messages of this package."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("pipelines.tracking")]


def finish(sync: RunSync, status: Status, artefacts: Iterable[Path] = ()) -> None:
    """Finish however long it takes."""
    sync.finish(status, artefacts, deadline_s=UNREACHED_S)


def history(client: MlflowClient, run_id: str, name: str = "train/loss") -> list[tuple[int, float]]:
    """Step and time of every point, in ms."""
    points: list[Metric] = client.get_metric_history(run_id, name)
    return sorted((point.step, point.timestamp) for point in points)


def steps(client: MlflowClient, run_id: str, name: str = "train/loss") -> list[int]:
    return [step for step, _ in history(client, run_id, name)]


def files(client: MlflowClient, run_id: str, folder: str | None = None) -> list[str]:
    return [item.path for item in client.list_artifacts(run_id, folder)]


def picture_steps(client: MlflowClient, run_id: str) -> list[int]:
    """Steps of the sample pictures in full size, as MLflow's page reads them."""
    names = [name for name in files(client, run_id, "images") if name.endswith(".png")]
    return sorted(int(name.split("+")[2]) for name in names)


def test_what_a_server_missed_arrives_when_it_answers(
    run: Run, server: RealServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.kill()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with run.sync(tags={"task": "denoise"}) as sync:
        run.log(1, 2, 3)
        run.picture(2)
        assert sync.wait_for_run(UNREACHED_S) == ""
        server.start()
        wait_until(lambda: sync.run_id != "")
        run.log(4)
    finish(sync, "FINISHED", [run.artefact()])

    told = warnings(caplog)
    assert [line for line in told if "NewConnectionError" in line] == told[:1]
    assert [line for line in told if "caught up to step" in line] == told[1:]
    client = MlflowClient(server.uri)
    made = client.get_run(sync.run_id)
    assert (made.info.status, made.info.run_name) == ("FINISHED", "train-01234567")
    assert (made.data.params, made.data.tags["task"]) == ({"seed": "1"}, "denoise")
    assert steps(client, sync.run_id) == steps(client, sync.run_id, "score/at.denoise") == [1, 2, 3, 4]
    assert files(client, sync.run_id) == ["images", "model.safetensors"]
    assert picture_steps(client, sync.run_id) == [2]


def test_a_server_that_is_killed_midway_loses_and_doubles_nothing(
    run: Run, server: RealServer, up: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    with run.sync() as sync:
        run.log(*range(1, 301))
        run.picture(1)
        wait_until(lambda: sync.wait_for_run(UNREACHED_S) != "" and steps(up, sync.run_id) != [])
        server.kill()
        run.log(301, 302)
        run.picture(2)
        wait_until(lambda: "unreachable" in caplog.text)
        server.start()
        wait_until(lambda: "caught up to step 302" in caplog.text)
    finish(sync, "FINISHED", [run.artefact()])
    assert history(up, sync.run_id) == history(up, sync.run_id, "score/at.denoise") == run.logged()
    assert picture_steps(up, sync.run_id) == [1, 2]
    assert files(up, sync.run_id) == ["images", "model.safetensors"]


def test_a_run_that_resumes_goes_on_and_says_again_only_what_changed(run: Run, up: MlflowClient) -> None:
    with run.sync() as first:
        run.log(1, 2, 3)
        wait_until(lambda: first.wait_for_run(UNREACHED_S) != "" and steps(up, first.run_id) == [1, 2, 3])
    finish(first, "KILLED")
    assert up.get_run(first.run_id).info.status == "KILLED"
    with run.sync() as second:
        wait_until(lambda: up.get_run(first.run_id).info.status == "RUNNING")
        run.log(2)
        run.log(3, loss=2.0)
        run.log(4)
    finish(second, "FINISHED")
    assert second.run_id == first.run_id
    assert steps(up, first.run_id) == [1, 2, 3, 3, 4]
    assert steps(up, first.run_id, "score/at.denoise") == [1, 2, 3, 4]


def test_a_run_that_the_server_has_forgotten_is_sent_from_the_start(run: Run, up: MlflowClient) -> None:
    with run.sync() as sync:
        run.log(1, 2)
    finish(sync, "FINISHED")
    first = sync.run_id
    up.delete_run(first)
    run.log(3)
    again = run.sync()
    finish(again, "FINISHED", [run.artefact()])
    assert again.run_id not in ("", first)
    assert steps(up, again.run_id) == [1, 2, 3]
    assert files(up, again.run_id) == ["model.safetensors"]


DIES = f"""
import os, signal, sys
from pathlib import Path
from pipelines.tracking.run_folder import RunFolder
from pipelines.tracking.sync import RunSync

def note(self, sent, kept=RunFolder.note):
    if sent.log_bytes:
        os.kill(os.getpid(), signal.SIGKILL)
    kept(self, sent)

RunFolder.note = note
RunSync(Path(sys.argv[1]), Path(sys.argv[1]).parents[1], "dies").finish("FINISHED", deadline_s={UNREACHED_S})
"""


def test_a_process_killed_before_it_wrote_down_what_it_sent_doubles_nothing(
    run: Run, up: MlflowClient
) -> None:
    run.log(1, 2, 3)
    died = subprocess.run([sys.executable, "-c", DIES, str(run.folder)], check=False)
    assert died.returncode == -9
    (experiment,) = [e.experiment_id for e in up.search_experiments() if e.name == EXPERIMENT]
    there = {found.info.run_id for found in up.search_runs([experiment])}
    sync = run.sync()
    finish(sync, "FINISHED")
    assert sync.run_id in there
    assert {found.info.run_id for found in up.search_runs([experiment])} == there
    assert history(up, sync.run_id) == run.logged()


def test_what_is_still_missing_after_the_end_is_sent_later_though_artefacts_were_replaced(
    run: Run, up: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = up.tracking_uri
    with closed_port() as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        with run.sync() as sync:
            run.log(1, 2, 3)
            run.picture(1)
        finish(sync, "FAILED", [run.artefact("this run's")])
    told = warnings(caplog)
    assert told[-1].startswith("tracking: 3 points, 2 files and its end not sent; ")
    assert told[-1].endswith("tunable track")
    run.artefact("another run's")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    sync_work_tree(Layout(run.folder.parents[1]))
    assert up.get_run(sync.run_id).info.status == "FAILED"
    assert history(up, sync.run_id) == run.logged()
    fetched = Path(up.download_artifacts(sync.run_id, "model.safetensors", str(run.folder)))
    assert fetched.read_text() == "this run's"
    assert list((run.folder / "outbox").iterdir()) == []


def test_children_find_their_parent_also_one_that_had_no_run_before(run: Run, up: MlflowClient) -> None:
    whole = run.sync()
    children = [Run(run.folder / f"trial-{number}") for number in range(2)]
    for child in children:
        child.log(1)
        root = run.folder.parents[1]
        finish(RunSync(child.folder, root, child.folder.name, parent=run.folder), "FINISHED")
    finish(whole, "FINISHED")
    (experiment,) = [e.experiment_id for e in up.search_experiments() if e.name == EXPERIMENT]
    found = up.search_runs([experiment], f"tags.mlflow.parentRunId = '{whole.run_id}'")
    assert {child.info.run_name for child in found} == {"trial-0", "trial-1"}
    assert up.get_run(whole.run_id).info.run_name == "train-01234567"


def test_the_alias_is_on_what_was_published_last(run: Run, up: MlflowClient, tmp_path: Path) -> None:
    numbers = []
    for version in ("aaaa", "bbbb", "bbbb", "aaaa", "cccc"):
        entry, folder = tmp_path / version, RunFolder(tmp_path / f"publish-{version}")
        entry.mkdir(exist_ok=True)
        (entry / "manifest.json").write_text(version)
        folder.begin("publish", {}, model=("model", version))
        folder.hold(entry, "entry")
        folder.end("FINISHED")
        sync_once(folder, tmp_path)
        published = up.get_model_version_by_alias("model", CANDIDATE)
        assert published.tags["zoo_version"] == version
        numbers.append(str(published.version))
    assert numbers == ["1", "2", "2", "1", "3"]
    fetched = up.download_artifacts(folder.sent().run_id, "entry/cccc/manifest.json", str(tmp_path))
    assert Path(fetched).read_text() == "cccc"


def test_a_server_that_answers_500_is_reported_once_and_blocks_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = list[Uploader]()
    upload = Uploader.upload

    def count_and_upload(uploader: Uploader) -> None:
        asked.append(uploader)
        upload(uploader)

    monkeypatch.setattr(Uploader, "upload", count_and_upload)
    monkeypatch.setattr("pipelines.tracking.sync.LONGEST_PAUSE_S", 0.05)
    with failing_server(500) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("://", "://me:secret@"))
        with run.sync() as sync:
            run.log(*range(1, 31))
            wait_until(lambda: len(asked) > 3)
        finish(sync, "FINISHED")  # would not return if it waited for a server that is well
    told = warnings(caplog)
    assert len(told) == 2
    assert "***@127.0.0.1" in told[0]
    assert "500" in told[0]
    assert told[1].startswith("tracking: 30 points and its end not sent")
    assert not [line for line in told if "secret" in line]


def test_a_server_that_never_answers_holds_nothing_up(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with silent_server() as (address, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with run.sync() as sync:
            asked.wait()
            run.log(1, 2)
        sync.finish("FINISHED", [run.artefact()], deadline_s=0.5)  # would not return if it waited on
        assert warnings(caplog)[0].startswith("tracking: 2 points, 1 file and its end not sent")


def test_a_slow_server_gets_what_there_is_time_for_and_the_rest_later(
    run: Run, up: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = up.tracking_uri
    run.log(*range(1, 2001))  # ten calls, after one for the options
    with passing_server(address, batches=2) as passage:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", passage.address)
        with run.sync() as sync:
            passage.held.wait()
        sync.finish("FINISHED", deadline_s=0.1)
        (told,) = warnings(caplog)
        assert told.startswith("tracking: 1800 points and its end not sent; ")
        passage.release.set()
        with RunFolder(run.folder).lock():  # once the call that was under way is over
            assert len(steps(up, sync.run_id)) == 400
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    sync_work_tree(Layout(run.folder.parents[1]))
    assert history(up, sync.run_id) == run.logged()


HANGS = """
import sys
from pathlib import Path
from pipelines.tracking.run_folder import RunFolder
from pipelines.tracking.sync import RunSync

with RunSync(Path(sys.argv[1]), Path(sys.argv[1]).parents[1], "hangs") as sync:
    input()
sync.finish("FINISHED", deadline_s=0.1)
"""


def test_a_call_that_hangs_ends_with_the_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.log(1)
    with silent_server() as (address, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        command = [sys.executable, "-c", HANGS, str(run.folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            asked.wait()
            process.communicate(b"\n")
        assert process.returncode == 0


def test_a_slow_answer_is_given_up_after_the_users_own_time(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with silent_server() as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with run.sync() as sync:
            assert sync.wait_for_run(UNREACHED_S) == ""
        finish(sync, "KILLED")
    assert "within 1 s" in caplog.text


def test_a_missing_artefact_is_reported_and_the_rest_is_sent(
    run: Run, up: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sync = run.sync()
    finish(sync, "FINISHED", [tmp_path / "missing.csv", run.artefact()])
    assert up.get_run(sync.run_id).info.status == "FINISHED"
    assert files(up, sync.run_id) == ["model.safetensors"]
    assert "missing.csv" in caplog.text


def test_a_full_disk_does_not_hide_how_a_run_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    sync = run.sync()
    monkeypatch.setattr("pipelines.tracking.run_folder.write_json_atomic", full)
    with closed_port() as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        finish(sync, "FAILED", [run.artefact()])
    assert "No space left" in caplog.text


def test_runs_below_it_are_sent_too_whoever_ends_them(run: Run, up: MlflowClient, tmp_path: Path) -> None:
    children = [Run(run.folder / f"trial-{number}") for number in (1, 2)]
    with run.sync() as sync:
        for number, child in enumerate(children, start=1):
            sync.add(child.folder, f"trial-{number}", {"lr": number}, {"stage": "search"})
            child.log(1, 2)
        RunFolder(children[0].folder).end("FINISHED")
    RunFolder(children[1].folder).end("FAILED")
    finish(sync, "FINISHED")
    sent = [up.get_run(RunFolder(child.folder).sent().run_id) for child in children]
    assert [one.info.status for one in sent] == ["FINISHED", "FAILED"]
    assert [one.data.params["lr"] for one in sent] == ["1", "2"]
    assert {one.data.tags["mlflow.parentRunId"] for one in sent} == {sync.run_id}
    assert all(steps(up, one.info.run_id) == [1, 2] for one in sent)


def test_a_run_is_shown_as_users_of_mlflow_expect(
    run: Run, up: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team")
    monkeypatch.setenv("DVC_EXP_NAME", "rusty-lamp")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    root = run.folder.parents[1]
    photos = Dataset(name="kodak", digest="a" * 64, context="training", source="artifacts/prepare/train")
    with run.sync(datasets=[photos], tags=describe_context(root, "tunable run train")) as sync:
        run.log(1, 2)
        run.picture(2)
        wait_until(lambda: (run.folder / "system.jsonl").exists())
    finish(sync, "FINISHED")
    folder = RunFolder(root / ".state" / "publish-aaaa")
    folder.begin(
        "publish", {}, extends=sync.run_id, model=("model", "aaaa"), group="test", description="Says."
    )
    folder.log.write_text('{"step": 2, "time_s": 1.5, "default": {"psnr_clean": 30}}\n')
    folder.end("FINISHED")
    sync_once(folder, root)

    made = up.get_run(sync.run_id)
    assert up.get_experiment(made.info.experiment_id).name == "team"
    assert made.data.tags["dvc.experiment"] == "rusty-lamp"
    assert made.data.tags["mlflow.source.name"] == "tunable run train"
    assert [item.dataset.name for item in made.inputs.dataset_inputs] == ["kodak"]
    numbers = {"train/loss": 0.5, "test/default.psnr_clean": 30.0}
    assert numbers.items() <= made.data.metrics.items()
    assert "system/cpu_utilization_percentage" in made.data.metrics
    assert picture_steps(up, sync.run_id) == [2]
    candidate = up.get_model_version_by_alias("model", CANDIDATE)
    assert (candidate.description, candidate.tags["test/default.psnr_clean"]) == ("Says.", "30")
    (model,) = up.search_logged_models([made.info.experiment_id])
    assert [(metric.key, metric.value) for metric in model.metrics] == [("test/default.psnr_clean", 30.0)]
    assert promote_version(root, "model", "aaaa", "1.0.0")
    assert up.get_model_version_by_alias("model", CHAMPION).version == candidate.version


def test_a_promotion_that_no_server_answers_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closed_port() as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        with pytest.raises(TrackingError, match="unreachable"):
            promote_version(tmp_path, "model", "aaaa", "1.0.0")
