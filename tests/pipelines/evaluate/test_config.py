from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.evaluate.config import EvaluateConfig


@pytest.mark.parametrize(
    "values",
    [
        {"crop_px": 10},
        {"steps": 1},
        {"grid": 1},
        {"lpips_net": "alexnet"},
        {"picture": {"crop": 3}},
        {"noise": 1},
        {"levels": {"noise_sigma": -1.0}},
        {"levels": {"noise_sigma": "25"}},
        {"levels": 25.0},
    ],
)
def test_impossible_options_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\."):
        parse_section(values, "evaluate", EvaluateConfig)
