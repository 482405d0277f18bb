from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from mlflow import MlflowClient

from pipelines.paths import Layout
from pipelines.records import sha256_file, write_json_atomic
from pipelines.tasks import DenoiseDeblur, DenoiseDeblurConfig
from pipelines.tracking.folder import Status
from pipelines.train.mirror import Mirror
from stages import end_started
from tunable_models import TunableNetwork, build, make_tunable
from waiting import UNREACHED_S

ARCHITECTURE: dict[str, Any] = {"id": "edsr", "config": {"width": 4, "blocks": 1, "scale": 1}}


@pytest.fixture(autouse=True)
def no_stage_left_running() -> Iterator[None]:
    """End the stages that a test started, also when it failed on the way."""
    yield
    end_started()


@pytest.fixture
def patient_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs whose copy on the tracking server is whole at their end, however long that takes."""
    wait, finish = Mirror.wait_for_run, Mirror.finish

    def finish_in_time(mirror: Mirror, status: Status, artefacts: Iterable[Path] = (), **_: float) -> None:
        finish(mirror, status, artefacts, deadline_s=UNREACHED_S)

    monkeypatch.setattr(Mirror, "wait_for_run", lambda mirror: wait(mirror, timeout_s=UNREACHED_S))
    monkeypatch.setattr(Mirror, "finish", finish_in_time)


@pytest.fixture
def task() -> DenoiseDeblur:
    return DenoiseDeblur(DenoiseDeblurConfig())


@pytest.fixture
def network(task: DenoiseDeblur) -> TunableNetwork:
    """Random at every omega, so that no two settings give one output."""
    torch.manual_seed(0)
    network = make_tunable(build(ARCHITECTURE["id"], **ARCHITECTURE["config"]), task.space)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: making one takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def trained(tmp_path: Path, network: TunableNetwork) -> Layout:
    """What the ``train`` stage leaves of that network."""
    layout = Layout(tmp_path)
    layout.train.mkdir(parents=True)
    weights = layout.train / "model.safetensors"
    safetensors.torch.save_file(network.state_dict(), weights)
    record = {
        "schema": 1,
        "task": "denoise-deblur",
        "task_config": {
            "name": "denoise-deblur",
            "noise_sigma": [25, 25],
            "blur_sigma": [1.5, 1.5],
            "distance": "charbonnier",
        },
        "architecture": ARCHITECTURE,
        "basis": network.basis,
        "space": network.space.to_dict(),
        "weights_sha256": sha256_file(weights),
    }
    write_json_atomic(layout.train / "record.json", record)
    return layout
