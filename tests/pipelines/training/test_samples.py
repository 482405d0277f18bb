import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from full_disk import full
from pipelines.core.config import parse_section
from pipelines.core.errors import TrainingError
from pipelines.data.photos import write_photos
from pipelines.measure.settings import vertices_and_default
from pipelines.tasks import make_task
from pipelines.training.config import TrainConfig
from pipelines.training.loop import LoopInputs
from pipelines.training.samples import Samples
from tiny_tasks import NAMES, tiny_config, tiny_task

NETWORKS = {
    "super-resolution": {"architecture": "edsr", "config": {"width": 2, "blocks": 1, "scale": 2}},
    "style-transfer": {"architecture": "stylenet", "config": {"width": 2, "blocks": 1}},
}
PLAIN = {"architecture": "edsr", "config": {"width": 2, "blocks": 1}}


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_a_picture_of_its_settings(name: str, tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    photos = write_photos(tmp_path / "photos", [("0.png", photo)])
    options = {"task": tiny_config(name).model_dump(), "network": NETWORKS.get(name, PLAIN), "patch_px": 16}
    config = parse_section(options, "train", TrainConfig)
    task = tiny_task(name)
    samples = Samples(tmp_path, photos, task, config)
    network = config.network.make(task.space, 0).eval()
    samples(20, network)
    with Image.open(tmp_path / "samples" / "step-00000020.png") as picture:
        columns = len(vertices_and_default(network.space))
        assert picture.width >= columns * 44
        assert picture.height >= 2 * 30


def test_a_full_disk_is_told(inputs: LoopInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(inputs.config.task, tmp_path)
    samples = Samples(tmp_path, inputs.photos, task, inputs.config)
    network = inputs.config.network.make(task.space, 0).eval()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="sample picture of step 4"):
        samples(4, network)
    assert list((tmp_path / "samples").iterdir()) == []
