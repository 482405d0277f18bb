from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.config import parse_section
from pipelines.data.photos import write_photos
from pipelines.train.config import TrainConfig
from pipelines.train.samples import Samples, _omegas
from tiny_tasks import NAMES, tiny_config
from tunable_models import ControlSpace

NETWORKS = {
    "super-resolution": {"architecture": "edsr", "config": {"width": 2, "blocks": 1, "scale": 2}},
    "style-transfer": {"architecture": "stylenet", "config": {"width": 2, "blocks": 1}},
}
PLAIN = {"architecture": "edsr", "config": {"width": 2, "blocks": 1}}


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_a_picture_of_its_settings(name: str, tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    write_photos(tmp_path / "photos", [("0.png", photo)])
    options = {"task": tiny_config(name).model_dump(), "network": NETWORKS.get(name, PLAIN), "patch_px": 16}
    config = parse_section(options, "train", TrainConfig)
    samples = Samples(tmp_path, tmp_path / "photos", config)
    network = config.network.make(samples._task.space, 0).eval()
    samples(20, network)
    with Image.open(tmp_path / "samples" / "step-00000020.png") as picture:
        columns = len(_omegas(network))
        assert picture.width >= columns * 44
        assert picture.height >= 2 * 30


def test_settings_are_the_ends_of_the_sliders_and_their_defaults() -> None:
    config = parse_section(PLAIN, "network", type(TrainConfig().network))
    box = config.make(ControlSpace.box("denoise", "deblur"), 0)
    assert _omegas(box).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    simplex = config.make(ControlSpace.simplex("a", "b"), 0)
    assert _omegas(simplex).tolist() == [[1, 0], [0, 1], [0.5, 0.5]]
