from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks import omegas, tunable
from tunable_models import TunableNetwork, build, fold
from tunable_models.bases import BasisName
from tunable_models.varied import is_channel_scale

X = torch.rand(5, 3, 9, 7, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(3, 6, 3, groups=3, dilation=2),
        nn.Conv2d(3, 4, 3, padding="same", padding_mode="circular"),
        nn.Conv2d(3, 4, (3, 1), stride=(2, 1), padding=1, bias=False),
        nn.Conv3d(3, 2, 2),
        nn.ConvTranspose1d(3, 4, 3, stride=2, output_padding=1),
        nn.ConvTranspose2d(3, 6, 3, stride=2, padding=1, groups=3),
        nn.ConvTranspose3d(3, 2, 2, stride=2),
    ],
    ids=repr,
)
def test_per_sample_convolutions_equal_a_loop_with_gradients(layer: nn.Module) -> None:
    network = tunable("delta", layer).double()
    dimensions = layer.weight.dim() - 2
    x = torch.rand(4, 3, *[6] * dimensions, dtype=torch.float64)
    omega = omegas(network, 4).double().requires_grad_()
    whole = network(x, omega=omega)
    loop = torch.cat([network(x[i : i + 1], omega=omega[i]) for i in range(4)])
    torch.testing.assert_close(whole, loop)
    wanted = [*network.parameters(), omega]
    for a, b in zip(
        torch.autograd.grad(whole.square().sum(), wanted),
        torch.autograd.grad(loop.square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [0, 1, 0, 1, 0], [2, 2, 2, 2, 2]])
def test_a_batch_of_convolutions_equals_a_loop(rows: list[int]) -> None:
    network = tunable("delta", build("edsr", width=4, blocks=1, scale=2))
    omega = omegas(network, 5)[rows]
    loop = torch.cat([network(X[i : i + 1], omega=omega[i]) for i in range(5)])
    torch.testing.assert_close(network(X, omega=omega), loop)


class Scaled(nn.Module):
    """A channel scale beside convolutions, as in NAFNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.beta = nn.Parameter(torch.ones(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) * self.beta


def _calls(network: TunableNetwork) -> list[int]:
    """Batches that reach the source's forward."""
    seen: list[int] = []
    network.network.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    return seen


@pytest.mark.parametrize("options", [{}, {"exclude": ["*bias"]}, {"exclude": ["conv.weight"]}, {"rank": 1}])
def test_samples_with_their_own_omegas_run_in_one_call(options: dict[str, object]) -> None:
    network = tunable("delta", Scaled(), **options)
    seen = _calls(network)
    omega = omegas(network, 5)
    whole = network(X, omega=omega)
    assert seen == [5]
    loop = torch.cat([fold(network, omega[i])(X[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(whole, loop)


def test_what_cannot_run_per_sample_runs_in_groups() -> None:
    network = tunable("delta", nn.Sequential(nn.Conv2d(3, 3, 1), nn.GroupNorm(1, 3)), include=["*"])
    seen = _calls(network)
    omega = omegas(network, 5)[[0, 1, 0, 2, 1]]
    whole = network(X, omega=omega)
    assert sorted(seen) == [1, 2, 2]
    loop = torch.cat([fold(network, omega[i])(X[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(whole, loop)


class Used(nn.Module):
    """A convolution and a scale that a forward uses in its own way."""

    def __init__(self, use: Callable[["Used", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.up = nn.Conv2d(3, 3, 1), nn.ConvTranspose2d(3, 3, 2, stride=2)
        self.scale, self.one = nn.Parameter(torch.ones(1, 3, 1, 1)), nn.Parameter(torch.ones(1, 1, 1, 1))
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        return self.use(self, x)


def _hooked(module: Used, x: Tensor) -> Tensor:
    return module.conv(x)


USES: dict[str, Callable[[Used, Tensor], Tensor]] = {
    "another batch": lambda m, x: sum(m.conv(torch.cat([x, x.flip(-1)])).split(len(x))),
    "another order": lambda m, x: m.conv(x.flip(0)).flip(0) if len(x) == 1 else m.conv(x),
    "the weight itself": lambda m, x: F.conv2d(x, m.conv.weight),
    "the weight's shape": lambda m, x: m.conv(x)[:, : m.conv.weight.shape[0]],
    "a setting": lambda m, x: m.conv(x) * m.conv.out_channels,
    "a keyword": lambda m, x: m.conv(input=x),
    "an option": lambda m, x: m.up(x, output_size=[18, 14]),
    "the scale as a kernel": lambda m, x: F.conv2d(x, m.scale),
    "part of the scale": lambda m, x: m.conv(x) * m.scale[0],
    "the scale by itself": lambda m, x: m.conv(x) * (m.scale / m.scale.norm()),
    "the scale as it is": lambda m, x: m.scale * m.conv(x) - x / m.scale,
    "hooks": _hooked,
    "the type of a parameter": lambda m, x: m.conv(x.double().to(next(m.parameters()).dtype)),
    "as a parameter": lambda m, x: m.conv(x.double().to(next(m.parameters()))),
    "zeros like a parameter": lambda m, x: m.conv(x) + torch.zeros_like(m.scale) + m.scale.new_ones(3, 1, 1),
    "a layer's class and mode": lambda m, x: m.conv(x) if isinstance(m.conv, nn.Conv2d) else x,
    "a layer's mode": lambda m, x: m.conv(x) if not m.conv.training else x,
    "names and sizes": lambda m, x: m.conv(x) * sum(len(n) * p.numel() for n, p in m.named_parameters()),
    "all parameters": lambda m, x: m.conv(x) * sum(p.square().sum() for p in m.parameters()),
    "values as numbers": lambda m, x: m.conv(x) * m.scale.flatten(1).tolist()[0][0],
    "a value as a number": lambda m, x: m.conv(x) * m.one.item(),
    "a value that decides": lambda m, x: m.conv(x) if m.one > 1 else x,
    "several scales at once": lambda m, x: m.conv(x) * torch.cat([m.scale, m.scale])[1:].mean(),
    "equality": lambda m, x: m.conv(x) if torch.equal(m.scale, m.scale * 1) else x,
    "its data": lambda m, x: m.conv(x) * m.scale.data.sum(),
}


@pytest.mark.parametrize("use", USES)
def test_whatever_a_forward_does_with_a_layer_a_batch_equals_a_loop(use: str) -> None:
    module = Used(USES[use])
    if use == "hooks":
        module.conv.register_forward_hook(lambda _, __, output: 2 * output)
    network = tunable("delta", module)
    omega = omegas(network, 5)
    loop = torch.cat([fold(network, omega[i])(X[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(network(X, omega=omega), loop)
    torch.testing.assert_close(network(X[:1], omega=omega[0]), loop[:1])


@pytest.mark.parametrize("basis", ["delta", "multilinear"])
def test_asking_for_form_costs_no_second_call(basis: BasisName) -> None:
    network = tunable(basis, Used(lambda m, x: m.conv(x.to(next(m.parameters())).to(m.conv.bias.dtype))))
    seen = _calls(network)
    network(X, omega=omegas(network, 5))
    assert seen == [5]


def test_a_tensor_that_stays_plain_can_be_used_beside_one_that_does_not() -> None:
    network = tunable("delta", Used(lambda m, x: m.conv(x) * m.conv.bias.sum()), exclude=["conv.bias"])
    seen, omega = _calls(network), omegas(network, 5)
    whole = network(X, omega=omega)
    assert seen == [5]
    loop = torch.cat([fold(network, omega[i])(X[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(whole, loop)


def test_a_subclass_of_a_convolution_is_not_taken_for_a_scale() -> None:
    class Own(nn.Conv2d):
        pass

    network = tunable("delta", Own(3, 1, 1, bias=False))
    omega = omegas(network, 5)
    assert network(X, omega=omega).shape == (5, 1, 9, 7)


@pytest.mark.parametrize(
    ("shape", "is_one"),
    [((1, 3, 1, 1), True), ((1, 3, 2, 1), False), ((3, 1, 1), False), ((2, 3, 1, 1), False)],
)
def test_channel_scales(shape: tuple[int, ...], is_one: bool) -> None:
    assert is_channel_scale(nn.Module(), torch.ones(shape)) is is_one
