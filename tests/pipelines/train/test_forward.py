from typing import Any

import pytest
import torch

from pipelines.config import parse_section
from pipelines.train.config import TrainConfig
from pipelines.train.forward import Forward
from tunable_models import ControlSpace, TunableNetwork, build, make_tunable


def network() -> TunableNetwork:
    torch.manual_seed(0)
    made = make_tunable(build("edsr", width=4, blocks=1), ControlSpace.box("denoise", "deblur"))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return made


def both(precision: str = "float32", **compute: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What training computes, and what the network does by itself."""
    options = {
        "precision": precision,
        "sampling": {"group": 2},
        "batch_size": 4,
        "compute": {"runner": "local", **compute},
    }
    made = network()
    forward = Forward(made, parse_section(options, "train", TrainConfig))
    inputs, omega = torch.rand(4, 3, 16, 16), torch.rand(2, 2).repeat_interleave(2, 0)
    return forward(inputs, omega), made(inputs, omega=omega)


@pytest.mark.parametrize(("precision", "least", "most"), [("float32", 0, 0), ("bfloat16", 1e-5, 0.05)])
def test_low_precision_is_near_and_comes_back_as_float32(precision: str, least: float, most: float) -> None:
    ours, plain = both(precision)
    assert ours.dtype == torch.float32
    assert least <= (ours - plain).abs().max() <= most


def test_images_by_channel_are_the_same_images() -> None:
    torch.testing.assert_close(*both(channels_last=True))


# torch's own, inside its compiler.
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning")
def test_compiled_by_groups_is_the_same_network() -> None:
    torch._dynamo.reset()
    torch.testing.assert_close(*both(compile=True))
