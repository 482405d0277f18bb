import pytest

from pipelines.core.errors import ConfigError
from pipelines.evaluate.levels import levels_of
from small_tasks import Fading, Tinting


def test_what_is_not_asked_for_stands_where_the_task_says() -> None:
    assert levels_of(Fading(), {}) == {"dim": 0.5, "grain": 0.0}
    assert levels_of(Fading(), {"grain": 3.0}) == {"dim": 0.5, "grain": 3.0}


@pytest.mark.parametrize(
    ("name", "hint"), [("grian", "did you mean 'grain'"), ("blur_sigma", "fading has dim, grain")]
)
def test_an_unknown_level_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"evaluate\.levels\.{name}.*{hint}"):
        levels_of(Fading(), {name: 1.0})


def test_a_task_without_levels_says_so() -> None:
    with pytest.raises(ConfigError, match="tinting has none"):
        levels_of(Tinting(), {"noise_sigma": 1.0})
