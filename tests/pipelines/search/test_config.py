from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.config import SearchConfig


def test_without_a_section_there_is_a_search() -> None:
    assert [axis.name for axis in SearchConfig().space.axes()] == ["distribution", "dirichlet.alpha"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "random"}, "trials, minutes"),
        ({"algorithm": "optuna", "trials": 9, "seeds": [0, 1]}, "optuna .*seeds"),
        ({"seeds": [1, 1]}, "duplicate value in seeds"),
        ({"objectives": []}, "at least 1 item"),
        ({"asha": {"grace_steps": 100}}, r"asha\.grace_steps 100 .*report_every 200"),
        ({"asha": {"grace_steps": 800}}, r"asha\.grace_steps 800 .*steps 600"),
        ({"asha": {"grace_steps": 200}, "seeds": [0, 1]}, "asha .*seeds"),
        ({"name": "../elsewhere"}, "pattern"),
        ({"space": {"distributions": [{"family": "uniform", "label": "a/b"}]}}, "pattern"),
        ({"measure": {"grids": 3}}, r"'search\.measure\.grids'.*'grid'"),
    ],
)
def test_invalid_combinations_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_section(options, "search", SearchConfig)
