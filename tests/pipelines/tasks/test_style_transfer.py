import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.records import sha256_file
from pipelines.data.style_images import find_style_image, read_style_image
from pipelines.tasks import StyleTransfer, StyleTransferConfig, make_task
from tiny_tasks import SMALL, tiny_config, tiny_task

STYLES = StyleTransferConfig().styles


def test_a_style_is_nearest_to_its_own_picture() -> None:
    task = tiny_task("style-transfer")
    paintings = [
        read_style_image(find_style_image(name, Path()), 32)[None, :, :32, :32] for name in STYLES.values()
    ]
    example = task.degrade(paintings[0], {}, ())
    omega = task.space.omega().unsqueeze(0)
    for control in range(3):
        near = [task.progress(painting, example, omega, control).item() for painting in paintings]
        assert max(near) == near[control]


def test_losses_have_the_same_size_whatever_the_trunk() -> None:
    """A style is about 1 away from the others, one content about 1 from another."""
    task = tiny_task("style-transfer", smoothness_scale=1e-6)
    paintings = torch.stack(
        [read_style_image(find_style_image(name, Path()), 32)[:, :32, :32] for name in STYLES.values()]
    )
    content = task.degrade(paintings[[1, 2, 0]], {}, ())
    losses = [task.loss(paintings, content, torch.tensor([row] * 3)) for row in torch.eye(3).tolist()]
    assert 1 < torch.stack(losses).mean() < 4


def test_users_styles_are_files_and_change_what_the_run_is(tmp_path: Path) -> None:
    for index, name in enumerate(("one", "two")):
        Image.new("RGB", (40, 50), (90 * index, 20, 200)).save(tmp_path / f"{name}.png")
    config = tiny_config("style-transfer", styles={"one": "one.png", "two": "two.png"})
    task = make_task(config, tmp_path).to(torch.device("cpu"))
    assert task.space.names == ("one", "two")
    assert task.materials["style one"] == sha256_file(tmp_path / "one.png")


@pytest.mark.parametrize("name", ["no.png", "skimage:no.png"])
def test_a_missing_style_is_told(name: str, tmp_path: Path) -> None:
    config = tiny_config("style-transfer", styles={"one": name, "two": "skimage:ihc.png"})
    with pytest.raises(DataError, match=r"no\.png"):
        make_task(config, tmp_path).to(torch.device("cpu"))


def test_a_file_that_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_text("no picture")
    with pytest.raises(DataError, match=r"one\.png"):
        read_style_image(tmp_path / "one.png", 32)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"styles": {"a": "a.png"}}, "at least 2"),
        ({"styles": {"a": "a.png", "no name": "b.png"}}, "identifier"),
        ({"content_layer": "relu5_1"}, "one of trunk.layers"),
        ({"styles": {"a": "a.png", "b": "./a.png"}}, "a picture of its own for every style"),
    ],
)
def test_impossible_options_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_section({**SMALL["style-transfer"], **values}, "task", StyleTransferConfig)


def test_the_order_of_styles_survives_a_record_with_sorted_keys() -> None:
    options = {"name": "style-transfer", "styles": {"b": "b.png", "a": "a.png"}}
    config = StyleTransferConfig.model_validate(options)
    record = json.loads(json.dumps(config.model_dump(mode="json"), sort_keys=True))
    again = StyleTransferConfig.model_validate_json(json.dumps(record))
    assert StyleTransfer(config).space == StyleTransfer(again).space
    assert StyleTransfer(config).space.names == ("a", "b")
