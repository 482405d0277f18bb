"""Tasks of a degradation and a loss, and tasks in place of options."""

import pickle
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipelines.core.errors import ConfigError
from pipelines.tasks import CustomTask, GivenTask, Key, make_task
from tunable_models import MSE, BlendedLoss, Control, ControlSpace, MultiLoss, Term, TotalVariation

SPACE = ControlSpace.box("sharpness")
CLEAN = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
KEYS: list[Key] = [(0, 1, index) for index in range(3)]
OMEGA = torch.tensor([[0.0], [0.5], [1.0]])


def add_noise(clean: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
    return {"input": clean + torch.randn(clean.shape, generator=generator)}


def shrink(clean: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
    return {"input": functional.avg_pool2d(clean, 2)}


def compare(output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> Tensor:
    return (output - targets["clean"]).square().flatten(1).mean(1) * (1 + omega[:, 0])


BLENDED = CustomTask(
    "noisy", space=SPACE, degrade=add_noise, loss=BlendedLoss(SPACE, MSE(), ("input", "clean"))
)


def test_samples_do_not_depend_on_their_batch() -> None:
    whole = BLENDED.sample(CLEAN, OMEGA, KEYS)
    last = BLENDED.sample(CLEAN[2:], OMEGA[2:], KEYS[2:])
    assert torch.equal(whole.inputs[2:], last.inputs)
    assert whole.targets.keys() == {"input", "clean"}
    assert not torch.equal(whole.inputs - CLEAN, (whole.inputs - CLEAN).flip(0))


def test_a_blended_loss_has_targets_and_a_live_slider() -> None:
    example = BLENDED.sample(CLEAN, OMEGA, KEYS)
    target = BLENDED.target(example, OMEGA)
    assert target is not None
    torch.testing.assert_close(target[0], example.inputs[0])
    torch.testing.assert_close(target[2], CLEAN[2])
    near, far = (BLENDED.progress(output, example, OMEGA, 0) for output in (CLEAN, example.inputs))
    assert (near > far).all()


def test_other_losses() -> None:
    terms = MultiLoss(SPACE, [Term(objective=MSE()), Term(objective=TotalVariation())])
    for loss, names in ((terms, {"MSE", "TotalVariation"}), (compare, {"loss"})):
        task = CustomTask("small", space=SPACE, degrade=shrink, loss=loss, scale=2)
        example = task.sample(CLEAN, OMEGA, KEYS)
        assert example.inputs.shape == (3, 3, 4, 4)
        assert example.targets.keys() == {"clean"}
        assert task.shares(CLEAN, example, OMEGA).keys() == names
        assert task.target(example, OMEGA) is None


def test_what_does_not_fit_is_refused() -> None:
    condition = ControlSpace.box(Control(name="level", kind="condition"))
    with pytest.raises(ConfigError, match="'level'"):
        CustomTask("noisy", space=condition, degrade=add_noise, loss=compare)
    small = CustomTask("small", space=SPACE, degrade=shrink, loss=compare)
    with pytest.raises(ConfigError, match=r"\(1, 3, 8, 8\).*\(1, 3, 4, 4\)"):
        small.sample(CLEAN, OMEGA, KEYS)
    total = CustomTask("noisy", space=SPACE, degrade=add_noise, loss=lambda *_: torch.zeros(()))
    with pytest.raises(ConfigError, match="one number a sample"):
        total.shares(CLEAN, BLENDED.sample(CLEAN, OMEGA, KEYS), OMEGA)


def test_a_given_task_travels_and_is_made_anew() -> None:
    config = GivenTask.of(BLENDED, "digest")
    made = make_task(pickle.loads(pickle.dumps(config)))
    assert made is not BLENDED
    assert torch.equal(made.sample(CLEAN, OMEGA, KEYS).inputs, BLENDED.sample(CLEAN, OMEGA, KEYS).inputs)
    assert config.model_dump() == {"name": "noisy"}
