from typing import Any

import pytest

from pipelines.config import parse_section
from pipelines.errors import ConfigError
from pipelines.train.config import TrainConfig


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
        ({"task": {"name": "colorize"}}, "task.name"),
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
