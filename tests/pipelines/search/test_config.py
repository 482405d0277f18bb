from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.search.config import SearchConfig


def test_without_a_section_there_is_a_search() -> None:
    assert [axis.name for axis in SearchConfig().space.axes()] == ["distribution", "dirichlet.alpha"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"algorithm": "random"}, "set trials, minutes or both"),
        ({"algorithm": "optuna", "trials": 9, "seeds": [0, 1]}, "optuna takes one of seeds"),
        ({"seeds": [1, 1]}, "holds a value twice"),
        ({"objectives": []}, "at least 1 item"),
        ({"asha": {"grace_steps": 100}}, r"asha\.grace_steps 100 must be a multiple of report_every 200"),
        ({"asha": {"grace_steps": 800}}, r"asha\.grace_steps 800 is more than steps 600"),
        ({"asha": {"grace_steps": 200}, "seeds": [0, 1]}, "asha stops each seed by itself"),
        ({"name": "../elsewhere"}, "pattern"),
        ({"space": {"distributions": [{"family": "uniform", "label": "a/b"}]}}, "pattern"),
        ({"measure": {"grids": 3}}, r"unknown key 'search\.measure\.grids'; did you mean 'grid'"),
    ],
)
def test_what_does_not_go_together_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_section(options, "search", SearchConfig)
