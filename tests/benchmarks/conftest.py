"""An entry and pictures for benchmarks that measure what is in the zoo."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from pipelines.tasks import NoiseLevel, NoiseLevelConfig
from tunable_models import build, make_tunable


@pytest.fixture
def tiny_entry(tmp_path: Path) -> Path:
    """The folder of an entry of task ``noise-level`` that changes pictures a little, at random."""
    config = {"width": 4, "blocks": 1}
    network = make_tunable(build("edsr", **config), NoiseLevel(NoiseLevelConfig()).space)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    entry = zoo.publish(
        network,
        name="tiny",
        task="noise-level",
        license={"weights": "CC0-1.0", "data": "CC0-1.0"},
        store=zoo.Store(tmp_path / "store"),
    )
    return tmp_path / "store" / "tiny" / entry.manifest.version


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two pictures."""
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for index in range(2):
        pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{index}.png")
    return tmp_path / "photos"
