import pytest
import torch
from torch import Tensor
from torch.nn import functional

from plain_networks import Shapes, load
from tunable_models import ArchitectureError, build, get_architecture


def original_shapes(width: int, blocks: int) -> Shapes:
    """By the naming rules of TransformerNet in pytorch/examples."""
    double, low = 2 * width, 4 * width
    layers = {
        "conv1": (width, 3, 9, 9),
        "conv2": (double, width, 3, 3),
        "conv3": (low, double, 3, 3),
        "deconv1": (double, low, 3, 3),
        "deconv2": (width, double, 3, 3),
        "deconv3": (3, width, 9, 9),
    }
    norms = {"in1": width, "in2": double, "in3": low, "in4": double, "in5": width}
    for i in range(1, blocks + 1):
        layers |= {f"res{i}.conv{j}": (low, low, 3, 3) for j in (1, 2)}
        norms |= {f"res{i}.in{j}": low for j in (1, 2)}
    shapes: Shapes = {}
    for name, shape in layers.items():
        shapes |= {f"{name}.conv2d.weight": shape, f"{name}.conv2d.bias": shape[:1]}
    for name, channels in norms.items():
        shapes |= {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}
    return shapes


def original(state: dict[str, Tensor], x: Tensor, blocks: int) -> Tensor:
    """The original's forward on pictures in [0, 255], from its description."""

    def convolve(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv2d.weight"]
        padded = functional.pad(x, [weight.shape[-1] // 2] * 4, "reflect")
        return functional.conv2d(padded, weight, state[f"{name}.conv2d.bias"], stride)

    def normalise(name: str, x: Tensor) -> Tensor:
        return functional.instance_norm(x, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"])

    def enlarge(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)

    y = normalise("in1", convolve("conv1", x)).relu()
    y = normalise("in2", convolve("conv2", y, 2)).relu()
    y = normalise("in3", convolve("conv3", y, 2)).relu()
    for i in range(1, blocks + 1):
        change = normalise(f"res{i}.in1", convolve(f"res{i}.conv1", y)).relu()
        y = y + normalise(f"res{i}.in2", convolve(f"res{i}.conv2", change))
    y = normalise("in4", convolve("deconv1", enlarge(y))).relu()
    y = normalise("in5", convolve("deconv2", enlarge(y))).relu()
    return convolve("deconv3", y)


def test_the_originals_keys_and_shapes() -> None:
    with torch.device("meta"):
        state = build("stylenet", "johnson").state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == original_shapes(32, 5)


@pytest.mark.parametrize("size", [(8, 8), (16, 28)])
def test_the_originals_weights_give_its_result(size: tuple[int, int]) -> None:
    network = build("stylenet", "johnson", width=4, blocks=2)
    state, x = load(network, original_shapes(4, 2)), torch.rand(2, 3, *size)
    torch.testing.assert_close(network(x), original(state, 255 * x, 2) / 255, rtol=1e-3, atol=1e-4)


def test_further_convolutions_stand_behind_the_originals() -> None:
    keys = build("stylenet", width=2, blocks=1, depth=3).state_dict().keys()
    extra = {name for name in keys if name.startswith("extra.")}
    assert keys - extra == original_shapes(2, 1).keys()
    assert len([name for name in extra if name.endswith("conv2d.weight")]) == 2 * 4


def test_every_output_pixel_sees_the_whole_image() -> None:
    assert get_architecture("stylenet").contract().radius_px is None
    torch.manual_seed(0)
    network = build("stylenet", width=4, blocks=1).double()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0, :, 0, 0].sum(), x)
    assert gradient.ne(0).any(1).float().mean() > 0.99


@pytest.mark.parametrize("config", [{"blocks": 0}, {"blocks": 65}, {"depth": 9}, {"depth": True}])
def test_impossible_options_are_refused(config: dict[str, int]) -> None:
    with pytest.raises(ArchitectureError, match="must be an integer from 1"):
        build("stylenet", **config)
