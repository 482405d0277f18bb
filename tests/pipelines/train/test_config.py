from typing import Any

import pytest

from pipelines.config import parse_section
from pipelines.errors import ConfigError
from pipelines.train.config import TrainConfig

SUPER = {"task": {"name": "super-resolution"}, "network": {"config": {"scale": 4}}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"network": {"config": {"widht": 3}}}, "did you mean 'width'"),
        ({"network": {"architecture": "edrs"}}, "did you mean 'edsr'"),
        ({"network": {"config": {"width": 0}}}, "width must be an integer"),
        ({"network": {"basis": "mlp"}}, "network.basis"),
        ({"network": {"basis": "linear"}}, "needs a simplex"),
        ({"network": {"config": {"scale": 2}}}, "enlarges it 2 times"),
        ({"batch_size": 6}, "multiple of compute.workers (2) times sampling.group (4)"),
        ({"log_every": 30}, "multiple of log_every 30"),
        ({"network": {"preset": "huge"}}, "no preset 'huge'"),
        ({"network": {"config": {"widht": 3}, "preset": "baseline-x1"}}, "did you mean 'width'"),
        ({"task": {"name": "colorize"}}, "'colorize' found using 'name'"),
        ({"task": {"noise_sigma": [1.0, 2.0]}}, "train.task"),
        ({"task": {"name": "super-resolution"}}, "enlarges a picture 4 times, network.config enlarges it 1"),
        ({**SUPER, "patch_px": 50}, "patch_px 50 must be a multiple of 4"),
        ({"sampling": {"alpha": 0.2, "family": "uniform"}}, "no option alpha"),
        ({"optimizer": {"lr": 0}}, "optimizer.lr"),
    ],
)
def test_impossible_options_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_section(values, "train", TrainConfig)
    assert words in str(caught.value)


def test_where_a_run_happens_is_no_part_of_its_identity() -> None:
    one = parse_section({"compute": {"workers": 1}}, "train", TrainConfig)
    two = parse_section({"compute": {"workers": 2, "threads": 3}}, "train", TrainConfig)
    assert one.identity() == two.identity()
    assert one.identity() != parse_section({"seed": 1}, "train", TrainConfig).identity()


def test_every_task_has_options_of_its_own() -> None:
    config = parse_section(SUPER, "train", TrainConfig)
    assert config.task.name == "super-resolution"
    again = parse_section(config.model_dump(), "train", TrainConfig)
    assert again == config
    assert config.identity()["task"]["scale"] == 4


def test_a_sampler_that_does_not_fit_the_space_is_refused_at_once() -> None:
    sampling = {"family": "truncated-normal", "mean": [0.1, 0.2, 0.3]}
    with pytest.raises(ConfigError, match="train"):
        parse_section({"sampling": sampling}, "train", TrainConfig)
