from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from plain_networks import Shapes, load
from tunable_models import ArchitectureError, build, get_architecture
from tunable_models.architectures.nafnet import LayerNorm2d, NAFBlock

TINY: dict[str, Any] = {"width": 4, "enc_blocks": [1, 2], "middle_blocks": 2, "dec_blocks": [2, 1]}


def block_shapes(path: str, width: int) -> Shapes:
    double = 2 * width
    shapes: Shapes = {f"{path}.{name}": (1, width, 1, 1) for name in ("beta", "gamma")}
    shapes |= {
        f"{path}.{norm}.{name}": (width,) for norm in ("norm1", "norm2") for name in ("weight", "bias")
    }
    for name, shape in {
        "conv1": (double, width, 1, 1),
        "conv2": (double, 1, 3, 3),
        "sca.1": (width, width, 1, 1),
        "conv3": (width, width, 1, 1),
        "conv4": (double, width, 1, 1),
        "conv5": (width, width, 1, 1),
    }.items():
        shapes |= {f"{path}.{name}.weight": shape, f"{path}.{name}.bias": shape[:1]}
    return shapes


def original_shapes(width: int, encoders: list[int], middle: int, decoders: list[int]) -> Shapes:
    """By the naming rules of megvii-research/NAFNet."""
    shapes: Shapes = {"intro.weight": (width, 3, 3, 3), "intro.bias": (width,)}
    shapes |= {"ending.weight": (3, width, 3, 3), "ending.bias": (3,)}
    for level, blocks in enumerate(encoders):
        for i in range(blocks):
            shapes |= block_shapes(f"encoders.{level}.{i}", width)
        shapes |= {f"downs.{level}.weight": (2 * width, width, 2, 2), f"downs.{level}.bias": (2 * width,)}
        width *= 2
    for i in range(middle):
        shapes |= block_shapes(f"middle_blks.{i}", width)
    for level, blocks in enumerate(decoders):
        shapes[f"ups.{level}.0.weight"] = (2 * width, width, 1, 1)
        width //= 2
        for i in range(blocks):
            shapes |= block_shapes(f"decoders.{level}.{i}", width)
    return shapes


def original_block(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The paper's block, figure 3c, from its description."""

    def convolve(name: str, x: Tensor, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return functional.conv2d(
            x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2, groups=groups
        )

    def normalise(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        normal = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return normal * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    width = x.shape[1]
    y = convolve("conv2", convolve("conv1", normalise("norm1", x)), groups=2 * width)
    y = y[:, :width] * y[:, width:]
    y = y * convolve("sca.1", y.mean((2, 3), keepdim=True))
    x = x + state["beta"] * convolve("conv3", y)
    y = convolve("conv4", normalise("norm2", x))
    return x + state["gamma"] * convolve("conv5", y[:, :width] * y[:, width:])


@pytest.mark.parametrize("preset", ["w32", "w64", "deblur-w32"])
def test_the_originals_keys_and_shapes(preset: str) -> None:
    config = get_architecture("nafnet").options(preset)
    with torch.device("meta"):
        state = build("nafnet", preset).state_dict()
    expected = original_shapes(
        config["width"], config["enc_blocks"], config["middle_blocks"], config["dec_blocks"]
    )
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


def test_the_originals_weights_load() -> None:
    load(build("nafnet", **TINY), original_shapes(4, [1, 2], 2, [2, 1]))


def test_a_block_computes_what_the_paper_says() -> None:
    block = NAFBlock(4)
    shapes = {name.removeprefix("x."): shape for name, shape in block_shapes("x", 4).items()}
    state, x = load(block, shapes), torch.rand(2, 4, 6, 5)
    torch.testing.assert_close(block(x), original_block(state, x))


def test_its_norm_is_a_layer_norm() -> None:
    norm = LayerNorm2d(3)
    assert isinstance(norm, nn.LayerNorm)
    assert {name: tuple(p.shape) for name, p in norm.named_parameters()} == {"weight": (3,), "bias": (3,)}


def test_every_output_pixel_sees_the_whole_image() -> None:
    assert get_architecture("nafnet").contract(**TINY).radius_px is None
    torch.manual_seed(0)
    network = build("nafnet", **TINY).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.rand(1, 3, 40, 40, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0, 0, 0, 0], x)
    assert gradient.ne(0).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"enc_blocks": [1, 1], "dec_blocks": [1]}, "as many dec_blocks as enc_blocks"),
        ({"enc_blocks": [1] * 7}, "list of 1 to 6 integers"),
        ({"enc_blocks": []}, "list of 1 to 6 integers"),
        ({"enc_blocks": 2}, "list of 1 to 6 integers"),
        ({"enc_blocks": [1, 1, 1, 10**9]}, r"enc_blocks\[3\] must be an integer from 0 to 64"),
        ({"middle_blocks": 65}, "middle_blocks must be an integer from 1 to 64"),
        ({"width": 512}, "the limit is 4096, take at most 256"),
    ],
)
def test_impossible_options_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build("nafnet", **config)
