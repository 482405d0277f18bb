import math
import os
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image

from file_server import closed_port
from pipelines.core.errors import PipelineError
from pipelines.tracking.run_folder import Dataset
from pipelines.tracking.server import (
    BOUNDS,
    RefusedError,
    Server,
    TrackingError,
    UnknownRunError,
    Value,
    redact_credentials,
    shown_uri,
    tracking_uri,
)
from tracking_servers import failing_server
from waiting import UNREACHED_S

pytestmark = pytest.mark.slow


def test_a_run_is_claimed_once_whoever_asks(root: Path, client: MlflowClient) -> None:
    run_id = Server(root).claim("k1", "first", {"stage": "train"}, started_ms=1000)
    assert Server(root).claim("k1", "other", {}) == run_id
    assert Server(root).claim("k2", "first", {}) != run_id
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.start_time, run.data.tags["stage"]) == ("first", 1000, "train")
    assert run.info.artifact_uri.startswith((root / "mlartifacts").as_uri())


def test_a_run_that_is_deleted_or_unknown_is_not_there(root: Path, client: MlflowClient) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    assert server.has(run_id)
    client.delete_run(run_id)
    assert not server.has(run_id)
    assert not server.has("0" * 32)
    assert not server.has("")
    assert server.claim("k", "first", {}) != run_id


def test_points_that_are_said_twice_are_there_once(root: Path, client: MlflowClient) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    points = [Value("loss", step / 2, 1000 + step, step) for step in range(1500)]
    server.values(run_id, points)
    server.values(run_id, points)
    assert len(client.get_metric_history(run_id, "loss")) == 1500
    assert client.get_run(run_id).data.metrics["loss"] == 749.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_a_gap_in_the_curve_once(
    root: Path, client: MlflowClient, value: float
) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    for _ in range(2):
        server.values(run_id, [Value("norm", 2.0, 1, 1), Value("norm", value, 2, 2)])
    history = sorted(client.get_metric_history(run_id, "norm"), key=lambda point: point.step)
    assert [str(point.value) for point in history] == ["2.0", "nan"]


def test_names_that_mlflow_does_not_take_are_made_fit(root: Path, client: MlflowClient) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    server.params(run_id, {"at(a=1).b": "[1]", **{f"p{number}": str(number) for number in range(150)}})
    server.values(run_id, [Value("psnr@denoise=0.5", 1.0, 1, 1)])
    data = client.get_run(run_id).data
    assert data.params["at_a_1_.b"] == "[1]"
    assert len(data.params) == 151
    assert data.metrics == {"psnr_denoise_0.5": 1.0}


def test_what_a_server_says_is_told_apart(root: Path, client: MlflowClient) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    server.params(run_id, {"a": "1"})
    server.params(run_id, {"a": "1"})
    with pytest.raises(RefusedError):
        server.params(run_id, {"a": "2"})
    with pytest.raises(UnknownRunError):
        server.values("0" * 32, [Value("loss", 1.0, 1, 1)])
    with pytest.raises(TrackingError, match="FileNotFoundError"):
        server.file(run_id, root / "missing")


@pytest.mark.server
def test_a_server_that_is_down_or_ill_is_never_one_that_has_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(UNREACHED_S))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with closed_port() as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://u:pw@127.0.0.1:{port}")
        with pytest.raises(TrackingError, match=r"^http://\*\*\*@127.0.0.1"):
            Server(tmp_path).has("0" * 32)
    for status in (500, 503):
        with failing_server(status) as address:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            with pytest.raises(TrackingError, match=f"{status}$"):
                Server(tmp_path).has("0" * 32)
    with failing_server(401) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(TrackingError, match="401") as told:
            Server(tmp_path).has("0" * 32)
        assert type(told.value) is TrackingError


def test_what_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, other = list(BOUNDS)[:2]
    monkeypatch.setenv(name, "7")
    monkeypatch.delenv(other, raising=False)
    Server(tmp_path)
    assert (os.environ[name], os.environ[other]) == ("7", BOUNDS[other])


def test_what_is_not_installed_is_named_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(PipelineError, match=r"tunable-zoo\[pipelines\]"):
        Server(tmp_path)


def test_a_run_is_in_the_experiment_that_is_named(root: Path, client: MlflowClient) -> None:
    run = client.get_run(Server(root).claim("k", "first", {}, experiment="team"))
    experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.name == "team"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_photographs_are_inputs_once(root: Path, client: MlflowClient) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    sides = [
        Dataset(name="kodak", digest=str(n) * 64, context=context, source="a/b", profile={"photographs": n})
        for n, context in ((1, "training"), (2, "validation"))
    ]
    for _ in range(2):
        server.inputs(run_id, sides)
    found = {item.dataset.digest[0]: item for item in client.get_run(run_id).inputs.dataset_inputs}
    assert {number: item.tags[0].value for number, item in found.items()} == {
        "1": "training",
        "2": "validation",
    }
    assert (found["1"].dataset.name, found["1"].dataset.profile) == ("kodak", '{"photographs": 1}')


def test_a_picture_is_there_once_in_full_and_small(root: Path, client: MlflowClient, tmp_path: Path) -> None:
    path = tmp_path / "step-3.png"
    Image.new("RGB", (8, 8)).save(path)
    run_id = Server(root).claim("k", "first", {})
    for server in (Server(root), Server(root)):  # killed before it was noted
        server.image(run_id, path, "sliders", 3, 1000)
    names = sorted(item.path for item in client.list_artifacts(run_id, "images"))
    assert [Path(name).suffix for name in names] == [".webp", ".png"]
    assert all(name.startswith("images/sliders+step+3+timestamp+1000+") for name in names)
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
    path.write_bytes(b"none")
    with pytest.raises(RefusedError, match=r"step-3\.png"):
        server.image(run_id, path, "sliders", 3, 1000)


def test_mlflow_still_says_so_when_a_run_is_not_there(client: MlflowClient) -> None:
    with pytest.raises(MlflowException) as told:
        client.get_run("0" * 32)
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_the_default_store_is_in_the_main_work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    experiment = tmp_path / ".dvc" / "tmp" / "exps" / "tmpabc"
    experiment.mkdir(parents=True)
    for folder in (tmp_path, experiment):
        assert tracking_uri(folder) == f"sqlite:///{tmp_path}/mlflow.db"


def test_the_environment_names_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    assert tracking_uri(tmp_path) == "https://tracking.example"


def test_what_is_printed_holds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:p@ss@tracking.example:8080/a@b")
    assert shown_uri(tmp_path) == "https://***@tracking.example:8080/a@b"


def test_every_address_in_a_sentence_is_redact_credentials() -> None:
    text = "no 'postgresql://u:p@db/x' and no http://t@host/y; a@b is none"
    assert redact_credentials(text) == "no 'postgresql://***@db/x' and no http://***@host/y; a@b is none"
