from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.config import parse_section
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.paths import Layout
from pipelines.train.batches import Share
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import TrainConfig
from pipelines.train.loop import Job
from pipelines.train.worker import Assignment
from waiting import UNREACHED_S

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


@pytest.fixture
def config() -> TrainConfig:
    return parse_section(OPTIONS, "train", TrainConfig)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """What ``prepare`` leaves of two generated photographs."""
    layout = Layout(tmp_path)
    random = np.random.default_rng(0)
    photos = [(f"{i}.png", random.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for i in range(2)]
    write_photos(layout.prepare / "train", photos)
    return layout


@pytest.fixture
def assignment(config: TrainConfig, layout: Layout) -> Assignment:
    """The run of ``config`` as workers get it."""
    photos = (layout.prepare / "train", layout.prepare / "validation")
    return Assignment.of(config, *photos, layout.state / "run", "print", layout.root)


@pytest.fixture
def job(config: TrainConfig, layout: Layout) -> Job:
    return Job(
        config=config,
        photos=PhotoSet.open(layout.prepare / "train"),
        store=CheckpointStore(layout.state / "checkpoints", "print"),
        share=Share(0, 1),
        device=torch.device("cpu"),
    )


@pytest.fixture
def patient_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver of runs on Ray that gives no slow machine up, and no cluster of whoever runs the tests."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("pipelines.train.on_ray.UNHEARD_S", UNREACHED_S)
    monkeypatch.setattr("pipelines.train.flag.ANSWER_WITHIN_S", UNREACHED_S)
