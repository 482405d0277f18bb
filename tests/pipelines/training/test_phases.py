"""The phases of a training: steps, omegas, learning rates, and what is trained."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.training.batches import Batches
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import OptimizerConfig, TrainConfig
from pipelines.training.loop import Hooks, LoopInputs, Stopped, run_training_loop
from pipelines.training.phases import Phases
from tiny_tasks import tiny_task
from tunable_models import ControlSpace, TunableNetwork

ONE = ControlSpace.box("noise")
NOISE = {"name": "noise-level", "max_sigma": 50.0}


def with_method(inputs: LoopInputs, method: str, folder: str = "other", **options: Any) -> LoopInputs:
    """The same run with one slider and a method, from the start."""
    values = inputs.config.model_dump() | {"task": NOISE, **options}
    values["network"] |= {"method": method, "basis": "delta"}
    store = CheckpointStore(inputs.photos.folder.parents[2] / folder, "print")
    return replace(inputs, config=parse_section(values, "train", TrainConfig), store=store)


def rates(phases: Phases, steps: int, config: OptimizerConfig) -> list[float]:
    return [phases.at(step).learning_rate(config, step) for step in range(steps + 1)]


def test_one_phase_warms_up_and_decays_to_zero() -> None:
    values = rates(Phases("tunable", ONE, 10), 10, OptimizerConfig(lr=1.0, warmup_steps=2))
    assert values[:3] == pytest.approx([0.5, 1, 1])
    assert values[10] == pytest.approx(0, abs=1e-9)
    assert values[2:] == sorted(values[2:], reverse=True)


def test_two_phases_do_so_twice() -> None:
    config = OptimizerConfig(lr=1.0, warmup_steps=1)
    phases, half = Phases("dni", ONE, 11), Phases("tunable", ONE, 6)
    assert [(phases.at(step).first, phases.at(step).end) for step in (0, 5, 6, 10, 11)] == [
        *[(0, 6)] * 2,
        *[(6, 11)] * 3,
    ]
    values = rates(phases, 11, config)
    assert values[:6] == rates(half, 6, config)[:6]
    assert values[6] == 1
    assert values[11] == pytest.approx(0, abs=1e-9)


def test_a_run_shorter_than_its_phases_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.steps 1: method 'cfsnet' trains in 2 phases"):
        Phases("cfsnet", ONE, 1)


def test_each_phase_sees_its_own_end_of_the_slider(inputs: LoopInputs) -> None:
    own = with_method(inputs, "adafm")
    batches = Batches(own.photos, tiny_task("noise-level"), own.config, torch.device("cpu"))
    steps = batches.from_step(0)
    seen = [torch.cat([batch.omega for batch in next(steps)]).unique().tolist() for _ in range(6)]
    steps.close()
    assert seen == [[1.0]] * 3 + [[0.0]] * 3


@pytest.mark.parametrize("method", ["dni", "cfsnet"])
def test_the_second_phase_keeps_the_network_of_the_first(inputs: LoopInputs, method: str) -> None:
    found: dict[int, dict[str, torch.Tensor]] = {}

    def keep(step: int, network: TunableNetwork) -> None:
        found[step] = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    run = with_method(inputs, method, log_every=1, checkpoint_every=1, ema_decay=0.5)
    run_training_loop(run, Hooks(at_checkpoint=keep))
    changed = {
        number: {n for n in found[number] if not torch.equal(found[number][n], found[number - 1][n])}
        for number in range(2, 7)
    }
    added = {name for name in found[6] if name.endswith("_deltas") or ".added." in name}
    trained = {name for name in found[6] if "condition" not in name}
    assert changed[2] == changed[3] == trained - added
    assert changed[4]
    assert changed[4] | changed[5] | changed[6] == added - {n for n in added if "condition" in n}


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_run_that_was_stopped_goes_on_bit_for_bit_in_any_phase(inputs: LoopInputs, step: int) -> None:
    options = {"log_every": 3, "checkpoint_every": 3, "ema_decay": 0.5}
    expected = run_training_loop(with_method(inputs, "dni", "whole", **options), Hooks())
    again = with_method(inputs, "dni", **options)
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) >= step

    with suppress(Stopped):
        run_training_loop(again, Hooks(stop=stop))
    assert again.store.newest() == step
    resumed = run_training_loop(again, Hooks())
    for one, two in zip(resumed.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("method", ["film", "noise-map", "cresmd", "dynamic-net"])
def test_every_other_method_trains_too(inputs: LoopInputs, method: str) -> None:
    run = with_method(inputs, method, steps=8)
    before = run.config.network.make(ONE_NOISE, run.config.seed)
    network = run_training_loop(run, Hooks())
    names = {name for name, parameter in before.named_parameters() if parameter.requires_grad}
    old, new = dict(before.named_parameters()), dict(network.named_parameters())
    assert {name for name in names if torch.equal(old[name], new[name])} == set()


ONE_NOISE = tiny_task("noise-level").space


def test_the_method_is_part_of_a_run_s_identity_and_its_absence_is_not(inputs: LoopInputs) -> None:
    assert "method" not in inputs.config.identity()["network"]
    run = with_method(inputs, "film").config
    assert run.identity()["network"]["method"] == "film"
    assert "tunable_models.rivals.conditioned" in run.modules


def test_a_method_that_does_not_fit_the_task_is_refused(inputs: LoopInputs) -> None:
    values = inputs.config.model_dump()
    values["network"] |= {"method": "dni", "basis": "delta"}
    with pytest.raises(ConfigError, match="expected one slider with two ends"):
        parse_section(values, "train", TrainConfig)
