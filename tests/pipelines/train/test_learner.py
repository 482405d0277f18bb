from pathlib import Path

import pytest
import torch

from pipelines.config import parse_section
from pipelines.tasks import Key, Task
from pipelines.train.batches import Batch
from pipelines.train.config import TrainConfig
from pipelines.train.learner import Learner, schedule
from pipelines.train.loop import Job
from tiny_tasks import tiny_task
from tunable_models import build

CRITIC = {"adversarial_scale": 0.5, "critic": {"width": 2, "depth": 1}}
DEVICE = torch.device("cpu")


def test_the_learning_rate_warms_up_and_decays_to_zero(job: Job) -> None:
    factor = schedule(job.config.optimizer, 10)
    rates = [factor(step) for step in range(11)]
    assert rates[:3] == pytest.approx([0.5, 1, 1])
    assert rates[10] == pytest.approx(0, abs=1e-9)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def adversarial() -> tuple[TrainConfig, Task]:
    options = {
        "task": {"name": "super-resolution", "scale": 2, "trunk": {"layers": ["relu1_1"]}, **CRITIC},
        "network": {"config": {"width": 2, "blocks": 1, "scale": 2}},
        "optimizer": {"warmup_steps": 0, "critic_lr": 0.01},
        "compute": {"runner": "local"},
    }
    return parse_section(options, "train", TrainConfig), tiny_task("super-resolution", **CRITIC)


def batch(task: Task) -> Batch:
    clean = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    keys: list[Key] = [(0,), (1,)]
    omega = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    return Batch(task.sample(clean, omega, keys), omega)


def test_the_critic_is_trained_beside_and_only_by_its_own_optimizer() -> None:
    config, task = adversarial()
    assert task.critic is not None
    learner = Learner(config, task, DEVICE)
    learner.wrap(lambda module: module)
    before = [parameter.clone() for parameter in task.critic.parameters()]
    learner.step(batch(task))
    largest = max((p - b).abs().max().item() for p, b in zip(task.critic.parameters(), before, strict=True))
    assert largest == pytest.approx(0.01, rel=0.01)  # one step of Adam is as long as its learning rate


def test_a_state_brings_critic_and_optimizers_back() -> None:
    config, task = adversarial()
    learner = Learner(config, task, DEVICE)
    learner.wrap(lambda module: module)
    learner.step(batch(task))
    state = {key: dict(value) for key, value in learner.state().items()}
    state["network"] = {key: tensor.clone() for key, tensor in state["network"].items()}
    state["critic"] = {key: tensor.clone() for key, tensor in state["critic"].items()}

    _, other_task = adversarial()
    other = Learner(config, other_task, DEVICE)
    other.load(state)
    other.wrap(lambda module: module)
    assert other.lr == learner.lr
    for one, two in zip(other.state()["critic"].values(), learner.state()["critic"].values(), strict=True):
        assert torch.equal(one, two)


def test_frozen_tensors_are_not_trained(tmp_path: Path) -> None:
    torch.save(build("edsr", width=2, blocks=1).state_dict(), tmp_path / "start.pth")
    options = {
        "network": {"config": {"width": 2, "blocks": 1}, "train": "deltas", "start": "start.pth"},
        "optimizer": {"warmup_steps": 0},
        "compute": {"runner": "local"},
    }
    config, task = parse_section(options, "train", TrainConfig), tiny_task("denoise-deblur")
    learner = Learner(config, task, DEVICE, tmp_path)
    learner.wrap(lambda module: module)
    before = {name: parameter.clone() for name, parameter in learner.network.named_parameters()}
    for _ in range(2):  # the last layer is zero at first, which stops the gradient of all before it
        learner.step(batch(task))
    changed = {n for n, p in learner.network.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert changed == {n for n, p in learner.network.named_parameters() if p.requires_grad}
