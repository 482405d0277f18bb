import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, write_json_atomic
from pipelines.core.trained import load_trained
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.measure.judge import Score
from pipelines.measure.objectives import MeasureConfig, check_objectives
from pipelines.search.scorer import Scorer, without_critic
from pipelines.tasks import DenoiseDeblur, DenoiseDeblurConfig
from pipelines.tasks.distances import psnr_clamped
from pipelines.training.config import TrainConfig
from tiny_tasks import tiny_config, tiny_task
from tunable_models import TunableNetwork

OPTIONS: dict[str, Any] = {"crop_px": 24, "steps": 3}


@pytest.fixture
def photos(tmp_path: Path) -> PhotoSet:
    random = np.random.default_rng(0)
    pictures = [(f"{i}.png", random.integers(0, 256, (24 + i, 30, 3), dtype=np.uint8)) for i in range(3)]
    return write_photos(tmp_path / "artifacts" / "prepare" / "validation", pictures)


def scorer(held_out: PhotoSet, root: Path = Path(), **options: Any) -> Scorer:
    config = parse_section({**OPTIONS, **options}, "search.measure", MeasureConfig)
    return Scorer(task=DenoiseDeblurConfig(), photos=held_out.folder, config=config, root=root)


def test_it_travels_and_scores_the_same(photos: PhotoSet, network: TunableNetwork) -> None:
    one = scorer(photos)
    first = one(network)
    sent = pickle.dumps(one)
    assert len(sent) < 2000  # without what it has loaded
    assert pickle.loads(sent)(network) == first == one(network)


def test_batches_change_nothing(photos: PhotoSet, network: TunableNetwork) -> None:
    together, alone = (scorer(photos, batch=batch)(network).measures for batch in (3, 1))
    assert together == pytest.approx(dict(alone), rel=1e-4, abs=1e-5)


def test_photographs_can_be_fewer(photos: PhotoSet, network: TunableNetwork) -> None:
    few = scorer(photos, photos=1)(network)
    only = write_photos(photos.folder.parent / "one", [("0.png", photos[0])])
    assert scorer(only)(network) == few != scorer(photos)(network)


def test_the_gap_to_a_specialist_is_exact(
    trained: Layout, photos: PhotoSet, network: TunableNetwork, task: DenoiseDeblur
) -> None:
    itself = {"at": {"denoise": 0.25, "deblur": 0.75}, "train": "artifacts/train"}
    one = scorer(photos, trained.root, specialists=[itself])
    assert one(network).measures["specialist_gap_worst"] == pytest.approx(0, abs=1e-4)
    with torch.no_grad():
        next(network.parameters()).mul_(3)
    found = one(network).measures
    assert found["specialist_gap_mean"] == found["specialist_gap_worst"]
    assert found["specialist_gap_mean"] == pytest.approx(gap(trained, photos, network, task), abs=1e-3)


def gap(trained: Layout, photos: PhotoSet, network: TunableNetwork, task: DenoiseDeblur) -> float:
    specialist, omega, rows = load_trained(trained)[0], torch.tensor([0.25, 0.75]), []
    for number in range(3):
        top, left = number // 2, 3
        pixels = photos[number][top : top + 24, left : left + 24].astype(np.float32) / 255
        clean = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)
        example = task.degrade(clean, task.levels, (0, "search", number))
        target = task.target(example, omega.unsqueeze(0))
        one, other = (net.at(omega)(example.inputs) for net in (specialist, network.eval()))
        rows.append((psnr_clamped(one, target) - psnr_clamped(other, target)).item())
    return sum(rows) / 3


@pytest.mark.parametrize(
    ("specialist", "error", "message"),
    [
        ({"at": {"denoize": 1.0}, "train": "artifacts/train"}, ConfigError, "did you mean 'denoise'"),
        ({"at": {"denoise": 1.5}, "train": "artifacts/train"}, ConfigError, "expected 0 to 1"),
        ({"at": {}, "train": "elsewhere"}, DataError, r"elsewhere.*tunable run train"),
    ],
)
def test_a_specialist_that_is_none_is_refused_before_anything_is_trained(
    trained: Layout, photos: PhotoSet, specialist: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        scorer(photos, trained.root, specialists=[specialist]).prepare()


def test_a_specialist_of_another_task_is_refused(trained: Layout, photos: PhotoSet) -> None:
    path = trained.train / "record.json"
    write_json_atomic(path, read_json(path) | {"task": "real-world"})
    with pytest.raises(DataError, match=r"for denoise-deblur at scale 1.*for real-world"):
        scorer(photos, trained.root, specialists=[{"at": {}, "train": "artifacts/train"}]).prepare()


def test_a_photograph_that_is_too_small_is_named(photos: PhotoSet) -> None:
    with pytest.raises(DataError, match=r"24 x 30 of '0\.png'.*crop_px to 24"):
        scorer(photos, crop_px=26).prepare()


def test_too_few_photographs_are_an_error(photos: PhotoSet) -> None:
    with pytest.raises(DataError, match=r"expected 4 .*got 3.*prepare\.validation_photos"):
        scorer(photos, photos=4).prepare()
    none = write_photos(photos.folder.parent / "none", [], may_be_empty=True)
    with pytest.raises(DataError, match=r"expected 1 .*got 0; raise prepare\.validation_photos$"):
        scorer(none).prepare()


def test_sides_must_fit_the_network(photos: PhotoSet) -> None:
    config = MeasureConfig(crop_px=20)
    with pytest.raises(ConfigError, match="crop_px 20 must be a multiple of 8"):
        Scorer(task=DenoiseDeblurConfig(), photos=photos.folder, config=config, unit=8).prepare()


def test_it_is_made_for_a_work_tree(tmp_path: Path) -> None:
    task = {"name": "super-resolution", "scale": 2, "adversarial_scale": 0.1}
    network = {"architecture": "edsr", "config": {"width": 4, "blocks": 1, "scale": 2}}
    train = parse_section({"task": task, "network": network, "seed": 3}, "train", TrainConfig)
    made = Scorer.of(train, MeasureConfig(), Layout(tmp_path))
    assert made.photos == tmp_path / "artifacts" / "prepare" / "validation"
    assert (made.unit, made.seed, made.device, made.root) == (
        2,
        0,
        "cpu",
        tmp_path,
    )  # one noise for all, whatever trains them
    assert made.vertices == ("accuracy", "perception")


def test_no_critic_judges() -> None:
    config = tiny_config("super-resolution", adversarial_scale=0.1)
    assert tiny_task("super-resolution", adversarial_scale=0.1).critic is not None
    assert without_critic(config) == tiny_config("super-resolution")
    assert without_critic(tiny_config("denoise-deblur")) == tiny_config("denoise-deblur")


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        (
            "noise-level",
            "hypervolume",
            r"'hypervolume'.*endpoint_loss, grid_loss",
        ),
        ("three-objectives", "psnr_own", r"'psnr_own'.*hypervolume"),
        ("denoise-deblur", "specialist_gap_worst", r"needs search\.measure\.specialists"),
        ("denoise-deblur", "hypervolum", r"'hypervolum'.*available are hypervolume"),
    ],
)
def test_an_objective_that_is_not_measured_is_refused(task: str, name: str, message: str) -> None:
    check_objectives(["grid_loss"], tiny_task(task), MeasureConfig())
    with pytest.raises(ConfigError, match=message):
        check_objectives([name], tiny_task(task), MeasureConfig())


@pytest.mark.parametrize("values", [None, {}, {"measures": {"a": "x"}, "settings": []}, {"measures": {}}])
def test_what_is_no_score_is_refused(values: Any) -> None:
    with pytest.raises(DataError, match="expected a score's"):
        Score.parse(values)
