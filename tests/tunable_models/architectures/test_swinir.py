from typing import Any

import pytest
import torch
from torch import Tensor

from plain_networks import Shapes, load, reach_of
from tunable_models import ArchitectureError, build, get_architecture

TINY: dict[str, Any] = {"width": 6, "depths": [2, 1], "heads": [2, 3], "window": 4}


def original_shapes(
    *, width: int, depths: list[int], heads: list[int], window: int, mlp_ratio: float = 2.0, scale: int = 1,
    upsampler: str = "", windows: int = 4, **_: Any,
) -> Shapes:  # fmt: skip
    """By the naming rules of JingyunLiang/SwinIR, trained on pictures of that many windows."""
    pixels, hidden = window**2, int(width * mlp_ratio)
    layers: dict[str, tuple[int, ...]] = {
        "conv_first": (width, 3, 3, 3),
        "conv_after_body": (width, width, 3, 3),
    }
    shapes: Shapes = {}
    norms = ["patch_embed.norm", "norm"]
    for i, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        layers[f"layers.{i}.conv"] = (width, width, 3, 3)
        for j in range(depth):
            block = f"layers.{i}.residual_group.blocks.{j}"
            norms += [f"{block}.norm1", f"{block}.norm2"]
            layers |= {f"{block}.attn.qkv": (3 * width, width), f"{block}.attn.proj": (width, width)}
            layers |= {f"{block}.mlp.fc1": (hidden, width), f"{block}.mlp.fc2": (width, hidden)}
            shapes[f"{block}.attn.relative_position_bias_table"] = ((2 * window - 1) ** 2, count)
            shapes[f"{block}.attn.relative_position_index"] = (pixels, pixels)
            if j % 2:
                shapes[f"{block}.attn_mask"] = (windows, pixels, pixels)
    if upsampler == "pixelshuffledirect":
        layers["upsample.0"] = (3 * scale**2, width, 3, 3)
    elif upsampler == "pixelshuffle":
        layers |= {"conv_before_upsample.0": (64, width, 3, 3), "conv_last": (3, 64, 3, 3)}
        factors = [3] if scale == 3 else [2] * (scale // 2)
        layers |= {f"upsample.{2 * i}": (64 * f * f, 64, 3, 3) for i, f in enumerate(factors)}
    else:
        layers["conv_last"] = (3, width, 3, 3)
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return shapes


def relative_index(window: int) -> Tensor:
    """Row of the bias table for the pixels a, b of a window: their offset, counted from the smallest."""
    side, pixels = 2 * window - 1, range(window**2)
    return torch.tensor(
        [
            [
                (a // window - b // window + window - 1) * side + a % window - b % window + window - 1
                for b in pixels
            ]
            for a in pixels
        ]
    )


def indices(shapes: Shapes, window: int) -> dict[str, Tensor]:
    return {name: relative_index(window) for name in shapes if name.endswith("relative_position_index")}


@pytest.mark.parametrize("preset", ["denoise-m", "denoise-light", "sr2-m", "sr3-m", "sr4-m", "sr4-light"])
def test_the_originals_keys_and_shapes(preset: str) -> None:
    with torch.device("meta"):
        state = build("swinir", preset).state_dict()
    expected = original_shapes(**get_architecture("swinir").options(preset))
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


@pytest.mark.parametrize("windows", [4, 64])
@pytest.mark.parametrize(
    "extra", [{}, {"scale": 2}, {"scale": 3}, {"scale": 4}, {"scale": 2, "upsampler": "pixelshuffledirect"}]
)
def test_the_originals_weights_load_whatever_its_training_size(extra: dict[str, Any], windows: int) -> None:
    config = {**TINY, **extra}
    shapes = original_shapes(windows=windows, **get_architecture("swinir").options(**config))
    network = build("swinir", **config)
    masks = {name: mask.clone() for name, mask in network.state_dict().items() if name.endswith("attn_mask")}
    load(network, shapes, **indices(shapes, 4))
    assert masks
    for name, mask in masks.items():
        assert torch.equal(network.state_dict()[name], mask)


def test_files_without_masks_load() -> None:
    shapes = original_shapes(**TINY)
    without = {name: shape for name, shape in shapes.items() if not name.endswith("attn_mask")}
    load(build("swinir", **TINY), without, **indices(without, 4))


def test_other_strange_keys_are_still_refused() -> None:
    network = build("swinir", **TINY)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        network.load_state_dict({**network.state_dict(), "layers.0.attn_mask": torch.zeros(1)})


@pytest.mark.parametrize(
    "config",
    [
        {**TINY, "depths": [2, 2]},
        {**TINY, "window": 5},
        {**TINY, "scale": 3},
        {**TINY, "scale": 4},
        {**TINY, "scale": 2, "upsampler": "pixelshuffledirect"},
    ],
)
@pytest.mark.slow
def test_the_radius_is_what_an_output_pixel_sees(config: dict[str, Any]) -> None:
    assert reach_of("swinir", config) == get_architecture("swinir").contract(**config).radius_px


def test_the_range_is_a_factor_on_the_way_in_and_out() -> None:
    torch.manual_seed(0)
    one, other = build("swinir", **TINY), build("swinir", **TINY, img_range=255)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        for name in ("weight", "bias"):
            getattr(other.conv_last, name).mul_(255)
        other.conv_first.weight.div_(255)
    x = torch.rand(1, 3, 9, 6)
    torch.testing.assert_close(other(x), one(x))


def test_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    block = build("swinir", **{**TINY, "width": 60}).layers[0].residual_group["blocks"][0]
    for weight in (block.attn.qkv.weight, block.mlp.fc1.weight, block.attn.relative_position_bias_table):
        assert 0.015 < weight.std() < 0.025
    assert not block.mlp.fc2.bias.any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"width": 7}, "width must be a multiple of all heads"),
        ({"heads": [2]}, "as many heads as depths"),
        ({"upsampler": "pixelshuffle"}, "none .* at scale 1"),
        ({"scale": 2, "upsampler": ""}, "expected an upsampler above scale 1"),
        ({"scale": 2, "upsampler": "nearest"}, "upsampler must be one of"),
        ({"upsampler": ["pixelshuffle"]}, "upsampler must be one of"),
        ({"window": 1}, "window must be an integer from 2 to 32"),
        ({"mlp_ratio": 10**9}, "mlp_ratio must be a number from 0.25 to 8"),
        ({"depths": [2] * 10**6}, "depths must be a list of 1 to 16 integers, got 1000000 of them"),
        ({"depths": [33, 1]}, r"depths\[0\] must be an integer from 1 to 32"),
    ],
)
def test_impossible_options_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build("swinir", **{**TINY, **config})
