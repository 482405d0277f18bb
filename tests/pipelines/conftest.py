from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from mlflow import MlflowClient

from picture_files import paint_scene, save_scene
from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.core.records import sha256_file, write_json_atomic
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.running.job import TrainJob
from pipelines.tasks import DenoiseDeblur, DenoiseDeblurConfig
from pipelines.tracking.run_folder import Status
from pipelines.tracking.sync import RunSync
from pipelines.training.batches import Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.loop import LoopInputs
from stages import end_started
from tunable_models import TunableNetwork, build, make_tunable
from waiting import UNREACHED_S

ARCHITECTURE: dict[str, Any] = {"id": "edsr", "config": {"width": 4, "blocks": 1, "scale": 1}}

OPTIONS = {
    "network": {"architecture": "edsr", "config": {"width": 4, "blocks": 1}},
    "optimizer": {"warmup_steps": 2},
    "sampling": {"group": 2},
    "compute": {"runner": "local"},
    "steps": 6,
    "batch_size": 4,
    "patch_px": 12,
    "log_every": 2,
    "checkpoint_every": 2,
}


@pytest.fixture(autouse=True)
def no_stage_left_running() -> Iterator[None]:
    """End the stages that a test started, also when it failed on the way."""
    yield
    end_started()


@pytest.fixture
def patient_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs whose copy on the tracking server is whole at their end, however long that takes."""
    wait, finish = RunSync.wait_for_run, RunSync.finish

    def finish_in_time(sync: RunSync, status: Status, artefacts: Iterable[Path] = (), **_: float) -> None:
        finish(sync, status, artefacts, deadline_s=UNREACHED_S)

    monkeypatch.setattr(RunSync, "wait_for_run", lambda sync: wait(sync, timeout_s=UNREACHED_S))
    monkeypatch.setattr(RunSync, "finish", finish_in_time)


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
        "basis": network.spec.basis,
        "space": network.space.to_dict(),
        "weights_sha256": sha256_file(weights),
    }
    write_json_atomic(layout.train / "record.json", record)
    return layout


@pytest.fixture
def config() -> TrainConfig:
    return parse_section(OPTIONS, "train", TrainConfig)


@pytest.fixture
def paint() -> Callable[..., np.ndarray]:
    return paint_scene


@pytest.fixture
def save() -> Callable[..., Path]:
    return save_scene


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """What ``prepare`` leaves of two generated photographs."""
    layout = Layout(tmp_path)
    random = np.random.default_rng(0)
    photos = [(f"{i}.png", random.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for i in range(2)]
    write_photos(layout.prepare / "train", photos)
    return layout


@pytest.fixture
def job(config: TrainConfig, layout: Layout) -> TrainJob:
    """The run of ``config`` as workers get it."""
    return TrainJob.from_layout(config, layout, folder=layout.state / "run", fingerprint="print")


@pytest.fixture
def inputs(config: TrainConfig, layout: Layout) -> LoopInputs:
    return LoopInputs(
        config=config,
        photos=PhotoSet.open(layout.prepare / "train"),
        store=CheckpointStore(layout.state / "checkpoints", "print"),
        share=Share(0, 1),
        device=torch.device("cpu"),
    )


@pytest.fixture
def patient_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray driver that waits for a slow machine and joins no cluster of the environment."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("pipelines.running.ray.driver.UNHEARD_S", UNREACHED_S)
    monkeypatch.setattr("pipelines.running.ray.coordinator.ANSWER_WITHIN_S", UNREACHED_S)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server on this machine."""
    from s3_server import serve_s3  # its imports take seconds

    with serve_s3() as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of an S3 that holds the empty bucket ``data``."""
    from s3_server import make_bucket

    with make_bucket(s3_endpoint, monkeypatch, tmp_path) as client:
        yield client
