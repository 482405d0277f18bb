from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from networks import omegas, tunable
from plain_networks import Shapes, lively, load, reach_of
from tunable_models import ArchitectureError, build, fold, get_architecture
from tunable_models.bases import BasisName

SMALL: dict[str, Any] = {"widths": [4, 6, 8], "blocks": 2}


def original_shapes(widths: list[int], blocks: int, planes: int, outputs: int = 3) -> Shapes:
    """By the naming rules of UNetRes in cszn/KAIR, without biases."""

    def chain(name: str, width: int, first: int = 0) -> Shapes:
        places = [f"{name}.{first + i}.res.{j}.weight" for i in range(blocks) for j in (0, 2)]
        return dict.fromkeys(places, (width, width, 3, 3))

    shapes: Shapes = {"m_head.weight": (widths[0], planes, 3, 3)}
    for level, (high, low) in enumerate(pairwise(widths), 1):
        shapes |= chain(f"m_down{level}", high) | {f"m_down{level}.{blocks}.weight": (low, high, 2, 2)}
        shapes |= chain(f"m_up{level}", high, 1) | {f"m_up{level}.0.weight": (low, high, 2, 2)}
    shapes |= chain("m_body", widths[-1]) | {"m_tail.weight": (outputs, widths[0], 3, 3)}
    return shapes


def original(state: dict[str, Tensor], x: Tensor, levels: int, blocks: int) -> Tensor:
    """The original's forward on RGB and its plane, from the paper's description."""

    def chain(name: str, x: Tensor, first: int = 0) -> Tensor:
        for i in range(first, first + blocks):
            inner = functional.conv2d(x, state[f"{name}.{i}.res.0.weight"], padding=1).relu()
            x = x + functional.conv2d(inner, state[f"{name}.{i}.res.2.weight"], padding=1)
        return x

    seen = [functional.conv2d(x, state["m_head.weight"], padding=1)]
    for level in range(1, levels):
        down = state[f"m_down{level}.{blocks}.weight"]
        seen.append(functional.conv2d(chain(f"m_down{level}", seen[-1]), down, stride=2))
    y = chain("m_body", seen[-1])
    for level in range(levels - 1, 0, -1):
        y = functional.conv_transpose2d(y + seen[level], state[f"m_up{level}.0.weight"], stride=2)
        y = chain(f"m_up{level}", y, 1)
    return functional.conv2d(y + seen[0], state["m_tail.weight"], padding=1)


def with_plane(x: Tensor, sigma: float) -> Tensor:
    return torch.cat((x, torch.full_like(x[:, :1], sigma / 255)), dim=1)


def test_the_originals_keys_and_shapes() -> None:
    with torch.device("meta"):
        state = build("drunet", "color").state_dict()
    expected = original_shapes([64, 128, 256, 512], 4, planes=4)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected
    assert state["m_down1.4.weight"].shape == (128, 64, 2, 2)
    assert state["m_up3.0.weight"].shape == (512, 256, 2, 2)
    assert {"m_body.0.res.0.weight", "m_up3.1.res.0.weight", "m_up1.4.res.2.weight"} <= state.keys()


@pytest.mark.parametrize("sigma", [0, 15, 50.0])
def test_the_originals_weights_give_its_result(sigma: float) -> None:
    network = build("drunet", "color", **SMALL, noise_map=sigma).double()
    state = load(network, original_shapes(SMALL["widths"], 2, planes=4))
    x = torch.rand(2, 3, 12, 8, dtype=torch.float64)
    weights = {name: tensor.double() for name, tensor in state.items()}
    torch.testing.assert_close(network(x), original(weights, with_plane(x, sigma), 3, 2))


def test_a_picture_that_fits_no_grid_is_mirrored() -> None:
    network = lively("drunet", preset="color", **SMALL)
    x = torch.rand(1, 3, 7, 9, dtype=torch.float64)
    mirrored = functional.pad(x, (0, 3, 0, 1), mode="reflect")
    whole = original(network.state_dict(), with_plane(mirrored, 25), 3, 2)
    torch.testing.assert_close(network(x), whole[..., :7, :9])


def test_without_a_map_the_head_sees_three_planes() -> None:
    assert build("drunet", **SMALL).m_head.weight.shape[1] == 3
    assert build("drunet", "color", **SMALL, noise_map=None).m_head.weight.shape[1] == 3
    assert build("drunet", "half-s", noise_map=5).m_head.weight.shape[1] == 4 * 3 + 1


def test_without_bias_and_map_the_output_scales_with_the_input() -> None:
    network = lively("drunet", **SMALL)
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(network(3 * x), 3 * network(x))


def test_every_convolution_has_a_bias_or_none() -> None:
    names = [name for name, _ in build("drunet", **SMALL, bias=True).named_parameters()]
    plain = [name for name, _ in build("drunet", **SMALL).named_parameters()]
    assert names == [f"{name.removesuffix('weight')}{kind}" for name in plain for kind in ("weight", "bias")]


@pytest.mark.parametrize("residual", [True, False])
def test_at_half_resolution_four_pixels_are_one(residual: bool) -> None:
    network = lively("drunet", **SMALL, unshuffle=2, noise_map=10, residual=residual)
    x = torch.rand(2, 3, 8, 16, dtype=torch.float64)
    halves = with_plane(functional.pixel_unshuffle(x, 2), 10)
    expected = functional.pixel_shuffle(original(network.state_dict(), halves, 3, 2), 2)
    torch.testing.assert_close(network(x), x + expected if residual else expected)


@pytest.mark.parametrize("size", [(1, 1), (9, 6)])
@pytest.mark.parametrize("options", [{}, {"bias": True, "noise_map": 25}, {"unshuffle": 2}])
def test_starts_as_the_identity(size: tuple[int, int], options: dict[str, Any]) -> None:
    x = torch.rand(2, 3, *size)
    assert torch.equal(build("drunet", **SMALL, **options)(x), x)


def test_fresh_features_neither_explode_nor_vanish() -> None:
    torch.manual_seed(0)
    network = build("drunet", "color", widths=[16, 32, 64, 128])
    scales: list[float] = []
    for module in network.children():
        module.register_forward_hook(lambda _, __, output: scales.append(float(output.std())))
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 64))
    assert len(scales) == 9
    assert min(scales) > 0.01
    assert max(scales) < 1  # undamped branches reach thousands


@pytest.mark.parametrize("basis", ["linear", "affine", "delta", "multilinear"])
@pytest.mark.parametrize("options", [{"noise_map": 25.0}, {"unshuffle": 2, "bias": True}])
def test_every_basis_mixes_it(basis: BasisName, options: dict[str, Any]) -> None:
    network = tunable(basis, build("drunet", widths=[4, 6], blocks=1, **options)).double()
    x, omega = torch.rand(3, 3, 9, 7, dtype=torch.float64), omegas(network, 3).double()
    loop = torch.cat([network(x[i : i + 1], omega=omega[i]) for i in range(3)])
    assert not torch.allclose(loop, x)
    torch.testing.assert_close(network(x, omega=omega), loop)
    painted = omega[:, :, None, None].expand(-1, -1, 9, 7)
    torch.testing.assert_close(network(x, omega=painted), loop)
    folded = torch.cat([fold(network, omega[i])(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(folded, loop)


@pytest.mark.parametrize(
    "config",
    [
        {"widths": [1, 1], "blocks": 1},
        {"widths": [1, 2, 1], "blocks": 1, "noise_map": 9, "residual": False},
        {"widths": [1, 1, 1], "blocks": 2, "unshuffle": 2},
        {"widths": [1, 1, 1, 1], "blocks": 1},
    ],
)
def test_the_radius_is_what_an_output_pixel_sees(config: dict[str, Any]) -> None:
    contract = get_architecture("drunet").contract(**config)
    assert contract.alignment == config.get("unshuffle", 1) * 2 ** (len(config["widths"]) - 1)
    assert reach_of("drunet", config) == contract.radius_px


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"widths": [8]}, "widths must be a list of 2 to 6 integers, got 1 of them"),
        ({"widths": [8] * 7}, "widths must be a list of 2 to 6 integers, got 7 of them"),
        ({"widths": 64}, "widths must be a list of 2 to 6 integers, got 64"),
        ({"widths": [8, 0]}, r"widths\[1\] must be an integer from 1 to 4096, got 0"),
        ({"blocks": 0}, "blocks must be an integer from 1 to 64"),
        ({"unshuffle": 3}, "unshuffle must be an integer from 1 to 2"),
        ({"bias": 1}, "bias must be true or false, got 1"),
        ({"residual": None}, "residual must be true or false, got None"),
        ({"noise_map": -1}, "noise_map must be a number from 0 to 255"),
        ({"noise_map": float("nan")}, "noise_map must be a number from 0 to 255"),
        ({"noise_map": True}, "noise_map must be a number from 0 to 255"),
    ],
)
def test_impossible_options_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=f"drunet: {message}"):
        build("drunet", **config)
