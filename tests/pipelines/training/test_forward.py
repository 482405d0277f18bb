from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pipelines.core.config import parse_section
from pipelines.training.config import TrainConfig
from pipelines.training.forward import Forward
from tunable_models import ControlSpace, TunableNetwork, build, make_tunable


def edsr() -> nn.Module:
    return build("edsr", width=4, blocks=1)


def few_layers() -> nn.Module:
    """Of few kernels, whose compilation takes seconds each."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))


def network(source: Callable[[], nn.Module] = edsr) -> TunableNetwork:
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


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    omega = torch.rand(2, 2, generator=random).repeat_interleave(2, 0)
    return torch.rand(4, 3, 16, 16, generator=random), omega


def both(precision: str = "float32", **compute: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What training computes, and what the network does by itself."""
    made, (inputs, omega) = network(), batch()
    return forward(made, precision, **compute)(inputs, omega), made(inputs, omega=omega)


def trained(**compute: Any) -> dict[str, torch.Tensor]:
    """The outputs of a batch and the gradients of their squares."""
    made = network(few_layers)
    outputs = forward(made, **compute)(*batch())
    outputs.square().sum().backward()  # type: ignore[no-untyped-call]
    gradients = {n: p.grad for n, p in made.named_parameters() if p.grad is not None}
    return {"outputs": outputs.detach()} | gradients


@pytest.mark.parametrize(("precision", "least", "most"), [("float32", 0, 0), ("bfloat16", 1e-5, 0.05)])
def test_low_precision_is_near_and_comes_back_as_float32(precision: str, least: float, most: float) -> None:
    ours, plain = both(precision)
    assert ours.dtype == torch.float32
    assert least <= (ours - plain).abs().max() <= most


def test_images_by_channel_are_the_same_images() -> None:
    torch.testing.assert_close(*both(channels_last=True))


@pytest.mark.slow
# torch's own, inside its compiler.
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning")
def test_compiled_by_groups_is_the_same_network() -> None:
    torch._dynamo.reset()
    ours, plain = trained(compile=True), trained()
    assert ours.keys() == plain.keys()
    assert len(plain) > 1
    for name, gradient in plain.items():
        torch.testing.assert_close(ours[name], gradient, msg=name)
