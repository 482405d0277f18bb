from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.evaluate.config import EvaluateConfig
from pipelines.tasks import Task
from small_tasks import Fading, Tinting


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


def resolve(task: Task, levels: dict[str, float]) -> dict[str, float]:
    return EvaluateConfig(levels=levels).resolve_levels(task.levels, task.name)


def test_levels_that_are_not_named_are_the_usual_ones() -> None:
    assert resolve(Fading(), {}) == {"dim": 0.5, "grain": 0.0}
    assert resolve(Fading(), {"grain": 3.0}) == {"dim": 0.5, "grain": 3.0}


@pytest.mark.parametrize(
    ("name", "hint"), [("grian", "did you mean 'grain'"), ("blur_sigma", "fading has dim, grain")]
)
def test_an_unknown_level_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"evaluate\.levels\.{name}.*{hint}"):
        resolve(Fading(), {name: 1.0})


def test_a_task_without_levels_says_so() -> None:
    with pytest.raises(ConfigError, match="tinting has none"):
        resolve(Tinting(), {"noise_sigma": 1.0})
