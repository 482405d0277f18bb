"""Tasks of others: registered, named in options, refused with the place of the fault."""

from typing import Any, ClassVar, Literal

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.tasks import TaskOptions, get_task, list_tasks, make_task, register_task, registry
from pipelines.training.config import TrainConfig
from small_tasks import Fading
from tunable_models import TunableError, objectives, register_objective


class FadingConfig(TaskOptions):
    name: Literal["fading"] = "fading"
    dim: tuple[float, float] = (0.0, 1.0)


class Faded(Fading):
    config_class: ClassVar[type[TaskOptions]] = FadingConfig

    def __init__(self, config: FadingConfig) -> None:
        self.config = config


class Peak:
    """The largest error of a sample."""

    blends_targets, needs_target = False, True

    def __call__(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target).abs().flatten(1).amax(1)


@pytest.fixture(autouse=True)
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (registry, objectives):
        monkeypatch.setattr(module._REGISTRY, "_registered", {})


def parse(**task: Any) -> TrainConfig:
    return parse_section({"task": task}, "train", TrainConfig)


def test_a_registered_task_is_named_and_made() -> None:
    assert register_task(Faded) is get_task("fading") is Faded
    assert list_tasks()[-1] == "fading"
    config = parse(name="fading", dim=[0.25, 0.5])
    assert isinstance(make_task(config.task), Faded)
    assert config.identity()["task"] == {"name": "fading", "dim": [0.25, 0.5]}
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"name": "fading", "din": [0, 1]}, r"unknown key 'train\.task\.din'; did you mean 'dim'"),
        ({"name": "fading", "dim": [0, "a"]}, r"train\.task\.dim\.1: .*valid number"),
        ({"name": "fadin"}, r"train\.task\.name: unknown task 'fadin'; did you mean 'fading'"),
        ({"dim": [0, 1]}, r"train\.task\.name: expected one of noise-level.*fading"),
        ({"name": "super-resolution", "critic": {"deph": 1}}, r"'train\.task\.critic\.deph'.*'depth'"),
        ({"name": "noise-level", "distance": "l2"}, r"train\.task\.distance: .*did you mean 'l1'"),
    ],
)
def test_faults_have_their_place_and_the_nearest_name(task: dict[str, Any], message: str) -> None:
    register_task(Faded)
    with pytest.raises(ConfigError, match=message):
        parse(**task)


def test_tasks_that_are_not_whole_are_refused() -> None:
    class Renamed(Faded):
        name = "noise-level"

    class Misnamed(Faded):
        name = "faded"

    for task, message in (
        (Renamed, "Literal"),
        (Misnamed, 'Literal\\["faded"\\]'),
        (Fading, "config_class of 'fading'"),
        (int, "class of tasks"),
    ):
        with pytest.raises(ConfigError, match=message):
            register_task(task)  # type: ignore[arg-type]


def test_options_name_registered_objectives() -> None:
    register_objective("peak", Peak)
    task = make_task(parse(name="noise-level", distance="peak").task)
    example = task.degrade(torch.rand(2, 3, 8, 8), {"noise_sigma": 0.0}, (0,))
    assert task.shares(example.inputs, example, torch.zeros(2, 1))["Peak"].tolist() == [0.0, 0.0]
    with pytest.raises(TunableError, match="needs_target"):
        register_objective("sum", torch.sum)  # type: ignore[arg-type]
