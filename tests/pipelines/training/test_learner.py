from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipelines.core.config import parse_section
from pipelines.core.errors import TrainingError
from pipelines.tasks import Example, Key, Task
from pipelines.training.batches import Batch
from pipelines.training.config import TrainConfig
from pipelines.training.learner import Forward, Learner
from tiny_tasks import tiny_task
from tunable_models import ControlSpace, TunableNetwork, build, make_tunable

CRITIC = {"adversarial_scale": 0.5, "critic": {"width": 2, "depth": 1}}
DEVICE = torch.device("cpu")


def adversarial() -> tuple[TrainConfig, Task]:
    options = {
        "task": {"name": "super-resolution", "scale": 2, "trunk": {"layers": ["relu1_1"]}, **CRITIC},
        "network": {"config": {"width": 2, "blocks": 1, "scale": 2}},
        "optimizer": {"warmup_steps": 0, "critic_lr": 0.01},
        "compute": {"runner": "local"},
        "sampling": {"group": 1},
        "batch_size": 2,
    }
    return parse_section(options, "train", TrainConfig), tiny_task("super-resolution", **CRITIC)


def batch(task: Task) -> Batch:
    clean = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    keys: list[Key] = [(0,), (1,)]
    omega = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    return Batch(task.sample(clean, omega, keys), omega, ("network",))


def test_the_critic_is_trained_beside_and_only_by_its_own_optimizer() -> None:
    config, task = adversarial()
    assert task.critic is not None
    learner = Learner(config, task, DEVICE)
    learner.start()
    before = [parameter.clone() for parameter in task.critic.parameters()]
    learner.step([batch(task)])
    largest = max((p - b).abs().max().item() for p, b in zip(task.critic.parameters(), before, strict=True))
    assert largest == pytest.approx(0.01, rel=0.01)  # one step of Adam is as long as its learning rate


def test_a_state_brings_critic_and_optimizers_back() -> None:
    config, task = adversarial()
    learner = Learner(config, task, DEVICE)
    learner.start()
    learner.step([batch(task)])
    state = {key: dict(value) for key, value in learner.state().items()}
    state["network"] = {key: tensor.clone() for key, tensor in state["network"].items()}
    state["critic"] = {key: tensor.clone() for key, tensor in state["critic"].items()}

    _, other_task = adversarial()
    other = Learner(config, other_task, DEVICE)
    other.load(state)
    other.start()
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
    learner.start()
    before = {name: parameter.clone() for name, parameter in learner.network.named_parameters()}
    for _ in range(2):  # the last layer is zero at first, which stops the gradient of all before it
        learner.step([batch(task)])
    changed = {n for n, p in learner.network.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert changed == {n for n, p in learner.network.named_parameters() if p.requires_grad}


def halves(whole: Batch) -> list[Batch]:
    """The same batch in two portions of one sample."""

    def part(index: int) -> Batch:
        rows = slice(index, index + 1)
        example = whole.example
        targets = {name: target[rows] for name, target in example.targets.items()}
        return Batch(Example(example.inputs[rows], targets), whole.omega[rows], (*whole.key, index))

    return [part(0), part(1)]


def ready(precision: str = "float32") -> tuple[Learner, Task]:
    config, task = adversarial()
    learner = Learner(config.model_copy(update={"precision": precision}), task, DEVICE)
    learner.start()
    return learner, task


def test_portions_train_network_and_critic_like_the_whole() -> None:
    states = []
    for split in (False, True):
        learner, task = ready()
        step = learner.step(halves(batch(task)) if split else [batch(task)])
        assert sum(share.item() for share in step.shares.values()) > 0
        states.append(learner.state())
    for part in ("network", "critic"):
        for one, two in zip(states[0][part].values(), states[1][part].values(), strict=True):
            torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-3)


def test_what_the_network_draws_depends_on_the_batch_alone() -> None:
    learner, task = ready()
    draws = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        learner._backward(batch(task))
        draws.append(torch.rand(1).item())
    assert draws[0] == draws[1]


def test_a_scale_that_fits_nothing_is_told() -> None:
    learner, task = ready("float16")
    broken = batch(task)
    broken.example.inputs.fill_(torch.nan)
    learner._scaler.load_state_dict({**learner._scaler.state_dict(), "scale": 2.0**-14})
    with pytest.raises(TrainingError, match=r"train\.precision"):
        learner.step([broken])


def test_an_overflow_of_float16_is_no_step_and_no_fault() -> None:
    learner, task = ready("float16")
    before = {name: tensor.clone() for name, tensor in learner.network.state_dict().items()}
    learner._scaler.load_state_dict({**learner._scaler.state_dict(), "scale": 2.0**120})
    step = learner.step([batch(task)])
    assert step.norm.isfinite()
    assert learner.done == 1
    assert all(torch.equal(before[name], now) for name, now in learner.network.state_dict().items())


def edsr() -> nn.Module:
    return build("edsr", width=4, blocks=1)


def few_layers() -> nn.Module:
    """Of few kernels, whose compilation takes seconds each."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))


def make_network(source: Callable[[], nn.Module] = edsr) -> TunableNetwork:
    torch.manual_seed(0)
    made = make_tunable(source(), ControlSpace.box("denoise", "deblur"))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return made


def forward(made: TunableNetwork, precision: str = "float32", **compute: Any) -> Forward:
    options = {
        "precision": precision,
        "sampling": {"group": 2},
        "batch_size": 4,
        "compute": {"runner": "local", **compute},
    }
    return Forward(made, parse_section(options, "train", TrainConfig))


def forward_inputs() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    omega = torch.rand(2, 2, generator=random).repeat_interleave(2, 0)
    return torch.rand(4, 3, 16, 16, generator=random), omega


def run_both(precision: str = "float32", **compute: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What training computes, and what the network does by itself."""
    made, (inputs, omega) = make_network(), forward_inputs()
    return forward(made, precision, **compute)(inputs, omega), made(inputs, omega=omega)


def train_once(**compute: Any) -> dict[str, torch.Tensor]:
    """The outputs of a batch and the gradients of their squares."""
    made = make_network(few_layers)
    outputs = forward(made, **compute)(*forward_inputs())
    outputs.square().sum().backward()  # type: ignore[no-untyped-call]
    gradients = {n: p.grad for n, p in made.named_parameters() if p.grad is not None}
    return {"outputs": outputs.detach()} | gradients


@pytest.mark.parametrize(("precision", "least", "most"), [("float32", 0, 0), ("bfloat16", 1e-5, 0.05)])
def test_low_precision_is_near_and_comes_back_as_float32(precision: str, least: float, most: float) -> None:
    ours, plain = run_both(precision)
    assert ours.dtype == torch.float32
    assert least <= (ours - plain).abs().max() <= most


def test_images_by_channel_are_the_same_images() -> None:
    torch.testing.assert_close(*run_both(channels_last=True))


@pytest.mark.slow
# torch's own, inside its compiler.
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning")
def test_compiled_by_groups_is_the_same_network() -> None:
    torch._dynamo.reset()
    ours, plain = train_once(compile=True), train_once()
    assert ours.keys() == plain.keys()
    assert len(plain) > 1
    for name, gradient in plain.items():
        torch.testing.assert_close(ours[name], gradient, msg=name)
