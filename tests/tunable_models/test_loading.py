"""Checkpoints of training codes, and trained networks from their spec and tensors."""

import copy
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from networks import perturb
from tunable_models import ConversionError, build, load_checkpoint, load_network, make_tunable

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))


class Normed(nn.Sequential):
    """Convolutions, a norm and its buffers."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 3, 1))


def perturbed(count: int) -> list[nn.Module]:
    """Networks of one class, each with tensors of its own."""
    return [Normed().eval() for _ in range(count)]


@pytest.mark.parametrize("options", [{"train": "deltas", "rank": 1}, {"exclude": ["tail*"]}])
def test_a_network_is_its_spec_and_its_tensors(options: dict[str, Any]) -> None:
    network = make_tunable(build("edsr", width=4, blocks=1), 2, **options)
    perturb(network)
    before = torch.get_rng_state()
    loaded = load_network(network.spec, network.state_dict())
    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.spec == network.spec
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    omega = torch.tensor([0.2, 0.9])
    assert torch.equal(loaded(X, omega=omega), network.eval()(X, omega=omega))


def test_tensors_of_another_network_are_refused() -> None:
    network, other = (make_tunable(build("edsr", width=width, blocks=1), 2) for width in (4, 5))
    with pytest.raises(ConversionError, match="of another shape"):
        load_network(network.spec, other.state_dict())


@pytest.mark.parametrize(
    ("wrapper", "prefix"),
    list(
        product(
            [None, "params_ema", "state_dict", "netG"],
            ["", "module.", "netG.", "module.netG.", "model._orig_mod."],
        )
    ),
)
def test_checkpoints_of_training_codes(wrapper: str | None, prefix: str) -> None:
    trained, fresh = perturbed(2)
    state: dict[str, object] = {prefix + name: value for name, value in trained.state_dict().items()}
    checkpoint = {wrapper: state, "epoch": 3} if wrapper else state
    assert load_checkpoint(fresh, checkpoint) is fresh
    torch.testing.assert_close(fresh(X), trained(X))


def test_the_averaged_weights_come_first() -> None:
    average, last, fresh = perturbed(3)
    load_checkpoint(fresh, {"params": last.state_dict(), "params_ema": average.state_dict()})
    torch.testing.assert_close(fresh(X), average(X))


def test_a_checkpoint_that_does_not_fit_changes_nothing() -> None:
    source = Normed()
    perturb(source)
    before = copy.deepcopy(source.state_dict())
    with pytest.raises(ConversionError):
        load_checkpoint(source, {"0.weight": torch.zeros(8, 3, 3, 3)})
    torch.testing.assert_close(source.state_dict(), before)


class Inside(nn.Module):
    """A network with a child of the name that parallel wrappers take."""

    def __init__(self, *, head: bool) -> None:
        super().__init__()
        self.module = nn.Linear(2, 2)
        if head:
            self.head = nn.Linear(2, 1)


@pytest.mark.parametrize("head", [True, False])
def test_a_child_called_module_keeps_its_name(head: bool) -> None:
    saved, fresh = Inside(head=head), Inside(head=head)
    load_checkpoint(fresh, saved.state_dict())
    torch.testing.assert_close(fresh.state_dict(), saved.state_dict())


def test_such_a_network_saved_inside_a_wrapper() -> None:
    saved, fresh = Inside(head=True), Inside(head=True)
    load_checkpoint(fresh, {f"module.{name}": value for name, value in saved.state_dict().items()})
    torch.testing.assert_close(fresh.state_dict(), saved.state_dict())


@pytest.mark.parametrize("prefix", ["", "model.", "generator.model.module."])
def test_a_network_with_a_child_of_a_prefix_within_that_prefix(prefix: str) -> None:
    saved, fresh = (nn.ModuleDict({"model": nn.ModuleDict({"net": nn.Linear(2, 2)})}) for _ in range(2))
    load_checkpoint(fresh, {prefix + name: value for name, value in saved.state_dict().items()})
    torch.testing.assert_close(fresh.state_dict(), saved.state_dict())


@pytest.mark.parametrize("checkpoint", [nn.Linear(2, 1), "model.pth", [torch.ones(1)]])
def test_what_is_no_checkpoint_is_refused(checkpoint: Any) -> None:
    with pytest.raises(ConversionError, match="expected a checkpoint"):
        load_checkpoint(nn.Linear(2, 1), checkpoint)


def test_a_value_that_is_no_tensor_is_named() -> None:
    with pytest.raises(ConversionError, match="no tensors: bias"):
        load_checkpoint(nn.Linear(2, 1), {**nn.Linear(2, 1).state_dict(), "bias": 2})


def test_an_empty_checkpoint_is_refused() -> None:
    with pytest.raises(ConversionError, match="missing: bias, weight"):
        load_checkpoint(nn.Linear(2, 1), {})


def test_a_prefix_of_some_names_is_part_of_them() -> None:
    layer = nn.Linear(2, 1)
    with pytest.raises(ConversionError, match=r"missing: weight; not the network's: module\.weight"):
        load_checkpoint(layer, {"module.weight": layer.weight, "bias": layer.bias})
