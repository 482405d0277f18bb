import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from plain_networks import Shapes, load, reach_of
from tunable_models import ArchitectureError, build, get_architecture

MEAN = torch.tensor([0.4488, 0.4371, 0.4040])


def original_shapes(width: int, blocks: int, scale: int) -> Shapes:
    """By the naming rules of sanghyun-son/EDSR-PyTorch."""
    factors = [3] if scale == 3 else [2] * int(math.log2(scale))
    convolutions = {"head.0": (width, 3), f"body.{blocks}": (width, width), "tail.1": (3, width)}
    convolutions |= {f"body.{i}.body.{j}": (width, width) for i in range(blocks) for j in (0, 2)}
    convolutions |= {f"tail.0.{2 * i}": (width * f * f, width) for i, f in enumerate(factors)}
    shapes: Shapes = {}
    for name in ("sub_mean", "add_mean"):
        shapes |= {f"{name}.weight": (3, 3, 1, 1), f"{name}.bias": (3,)}
    for name, (outputs, inputs) in convolutions.items():
        shapes |= {f"{name}.weight": (outputs, inputs, 3, 3), f"{name}.bias": (outputs,)}
    return shapes


def shifts(rgb_range: float = 255.0) -> dict[str, Tensor]:
    eye = torch.eye(3).reshape(3, 3, 1, 1)
    return {
        "sub_mean.weight": eye,
        "sub_mean.bias": -rgb_range * MEAN,
        "add_mean.weight": eye,
        "add_mean.bias": rgb_range * MEAN,
    }


def original(state: dict[str, Tensor], x: Tensor, blocks: int, scale: int, damping: float) -> Tensor:
    """The original's forward on pictures in [0, 255], from its description."""

    def convolve(name: str, x: Tensor) -> Tensor:
        weight = state[f"{name}.weight"]
        return functional.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    shallow = y = convolve("head.0", convolve("sub_mean", x))
    for i in range(blocks):
        y = y + damping * convolve(f"body.{i}.body.2", convolve(f"body.{i}.body.0", y).relu())
    y = convolve(f"body.{blocks}", y) + shallow
    for i, factor in enumerate([3] if scale == 3 else [2] * int(math.log2(scale))):
        y = functional.pixel_shuffle(convolve(f"tail.0.{2 * i}", y), factor)
    return convolve("add_mean", convolve("tail.1", y))


@pytest.mark.parametrize("preset", ["baseline-x2", "baseline-x3", "baseline-x4", "large-x4"])
def test_the_originals_keys_and_shapes(preset: str) -> None:
    config = get_architecture("edsr").config(preset)
    with torch.device("meta"):
        state = build("edsr", preset).state_dict()
    expected = original_shapes(config.width, config.blocks, config.scale)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("damping", [1.0, 0.1])
def test_the_originals_weights_give_its_result(scale: int, damping: float) -> None:
    network = build("edsr", f"baseline-x{scale}", width=6, blocks=2, res_scale=damping)
    state = load(network, original_shapes(6, 2, scale), **shifts())
    x = torch.rand(2, 3, 7, 5)
    expected = original(state, 255 * x, 2, scale, damping) / 255
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_range_are_refused() -> None:
    shapes = {name: torch.zeros(shape) for name, shape in original_shapes(4, 1, 2).items()}
    with pytest.raises(ArchitectureError, match="build with rgb_range=255"):
        build("edsr", width=4, blocks=1, scale=2).load_state_dict(shapes | shifts())
    with pytest.raises(ArchitectureError, match="build with rgb_range=1"):
        build("edsr", "baseline-x2", width=4, blocks=1).load_state_dict(shapes | shifts(1.0))


def test_the_mean_shift_is_not_trained() -> None:
    network = build("edsr", "baseline-x2", width=4, blocks=1)
    assert not any("mean" in name for name, _ in network.named_parameters())


def test_scale_one_stores_what_it_trains() -> None:
    network = build("edsr", width=4, blocks=1)
    assert network.state_dict().keys() == dict(network.named_parameters()).keys()


@pytest.mark.parametrize("rgb_range", [1, 255])
def test_starts_as_the_identity_at_scale_one(rgb_range: int) -> None:
    x = torch.rand(1, 3, 6, 6)
    assert torch.equal(build("edsr", width=4, blocks=1, rgb_range=rgb_range)(x), x)


def test_wide_networks_are_damped() -> None:
    config = get_architecture("edsr").config
    assert config(width=127).damping == 1
    assert config("large-x2").damping == 0.1
    assert config("large-x2", res_scale=0.5).damping == 0.5


def test_pictures_keep_their_precision_under_autocast() -> None:
    network = build("edsr", "baseline-x2", width=4, blocks=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()  # what is left is the mean colour, which no layer may round
    with torch.autocast("cpu", torch.bfloat16):
        output = network(torch.rand(1, 3, 4, 4))
    torch.testing.assert_close(output, MEAN.reshape(1, 3, 1, 1).expand_as(output))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_radius_is_what_an_output_pixel_sees(scale: int) -> None:
    config = {"width": 3, "blocks": 2, "scale": scale}
    assert reach_of("edsr", config) == get_architecture("edsr").contract(**config).radius_px


def test_dilated_blocks_see_further_by_the_same_weights() -> None:
    config = {"width": 3, "blocks": 2, "dilations": [4, 2]}
    assert reach_of("edsr", config) == get_architecture("edsr").contract(**config).radius_px == 2 + 8
    plain = build("edsr", width=3, blocks=2)
    assert {k: v.shape for k, v in build("edsr", **config).state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }


@pytest.mark.parametrize("dilations", [[1], [1, 1, 1], [1, 0], [1, 17], 2])
def test_there_is_one_dilation_a_block(dilations: Any) -> None:
    with pytest.raises(ArchitectureError, match="dilations"):
        build("edsr", blocks=2, dilations=dilations)


@pytest.mark.parametrize(
    "config", [{"width": 0}, {"blocks": 2.0}, {"scale": 5}, {"width": True}, {"width": 10**9}]
)
def test_impossible_options_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ArchitectureError, match="must be an integer from 1"):
        build("edsr", **config)


@pytest.mark.parametrize("config", [{"rgb_range": 0}, {"rgb_range": float("nan")}, {"res_scale": 2}])
def test_impossible_factors_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ArchitectureError, match="must be a number from"):
        build("edsr", **config)
