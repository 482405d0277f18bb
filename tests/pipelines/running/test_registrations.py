"""What calls registered travels with a job, and its code is part of a run's identity."""

import pickle
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import code_digests
from pipelines.running.job import TrainJob
from pipelines.running.registrations import Registrations, digest_plugins, list_user_modules
from pipelines.running.run import Run
from pipelines.tasks import TaskOptions, registered_here, registry
from pipelines.tasks.gaussian_noise import NoiseLevel, NoiseLevelConfig
from pipelines.training.config import TrainConfig
from tunable_models import (
    Architecture,
    architectures,
    objectives,
    register_architecture,
    register_objective,
)
from tunable_models.architectures.edsr import EDSR, EDSRConfig, make_contract


class OwnConfig(NoiseLevelConfig):
    name: Literal["own"] = "own"  # type: ignore[assignment]


class OwnTask(NoiseLevel):
    name: ClassVar[str] = "own"
    config_class: ClassVar[type[TaskOptions]] = OwnConfig


class OwnNetwork(EDSR):
    pass


class Peak:
    blends_targets, needs_target = False, True

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().flatten(1).amax(1)


@pytest.fixture(autouse=True)
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (registry, architectures, objectives):
        monkeypatch.setattr(module._REGISTRY, "_registered", {})


@pytest.fixture
def own(config: TrainConfig) -> TrainConfig:
    """Options that name a task, an architecture and an objective of this file."""
    registry.register_task(OwnTask)
    register_architecture(
        Architecture(name="own", config_class=EDSRConfig, network=OwnNetwork, contract_of=make_contract)
    )
    register_objective("peak", Peak)
    values: dict[str, Any] = config.model_dump(exclude={"task", "network"})
    values["task"] = {"name": "own", "distance": "peak"}
    values["network"] = {"architecture": "own", "config": {"width": 4, "blocks": 1}}
    return parse_section(values, "train", TrainConfig)


def test_options_that_name_nothing_of_others_add_nothing(config: TrainConfig, layout: Layout) -> None:
    assert digest_plugins(config) == {}
    assert Registrations.of(config) == Registrations()
    assert list_user_modules(config, Registrations()) == ()
    assert Run.of(config, PhotoSet.open(layout.prepare / "train"), layout).code == code_digests(
        used=config.modules
    )


def test_a_job_registers_what_it_carries(own: TrainConfig, layout: Layout) -> None:
    run = Run.of(own, PhotoSet.open(layout.prepare / "train"), layout)
    packed = pickle.dumps(run.make_job(own, layout))
    assert set(digest_plugins(own)) == {
        "plug-in task own",
        "plug-in architecture own",
        "plug-in objective peak",
        __name__,
    }
    for module in (registry, architectures, objectives):
        module._REGISTRY._registered.clear()
    job: TrainJob = pickle.loads(packed)
    with pytest.raises(ValidationError, match="unknown task"):
        job.config.model_validate_json(job.config.model_dump_json())
    job.registrations.apply()
    job.check_node()
    assert registered_here("own") is OwnTask
    assert job.config.model_validate_json(job.config.model_dump_json()) == own
    assert list_user_modules(own, job.registrations) == (__name__,)
    network = job.config.network.make(OwnTask(OwnConfig()).space, 0)
    assert network(torch.rand(1, 3, 8, 8), omega=torch.zeros(1)).shape == (1, 3, 8, 8)


def test_another_version_of_a_plugin_is_refused_on_a_node(
    own: TrainConfig, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainJob.from_layout(own, layout, folder=layout.state, fingerprint="print")
    installed = TrainJob(**{**vars(job), "registrations": Registrations()})  # as with entry points
    installed.check_node()
    monkeypatch.setitem(installed.plugins, __name__, "other")
    with pytest.raises(ConfigError, match="code of plug-ins"):
        installed.check_node()
