from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks import omegas, tunable
from tunable_models import TunableNetwork, build, fold
from tunable_models._execution.proxy_layers import convolve_and_blend
from tunable_models._execution.proxy_tensors import is_channel_scale
from tunable_models.bases import BasisName

X = torch.rand(5, 3, 9, 7, generator=torch.Generator().manual_seed(3))


LAYERS = [
    nn.Conv1d(6, 12, 3, groups=3, dilation=2),
    nn.Conv2d(6, 4, 3, padding="same", padding_mode="circular"),
    nn.Conv2d(6, 4, (3, 1), stride=(2, 1), padding=1, bias=False),
    nn.Conv2d(6, 5, 1),
    nn.Conv2d(6, 5, 1, padding=1, padding_mode="reflect", bias=False),
    nn.Conv2d(6, 5, 1, padding=1),
    nn.Conv3d(6, 2, 2),
    nn.ConvTranspose1d(6, 4, 3, stride=2, output_padding=1),
    nn.ConvTranspose2d(6, 6, 3, stride=2, padding=1, groups=3),
    nn.ConvTranspose3d(6, 2, 2, stride=2),
]
WAYS: list[tuple[BasisName, dict[str, object]]] = [
    ("delta", {}),
    ("delta", {"exclude": ["bias"]}),
    ("delta", {"rank": 1}),
    ("multilinear", {"rank": 2}),
    ("affine", {}),
    ("linear", {}),
]
CASES = [
    (layer, *way) for layer in LAYERS for way in WAYS if layer.bias is not None or "exclude" not in way[1]
]


def _layer_of(
    layer: nn.Module, basis: BasisName, options: dict[str, object]
) -> tuple[TunableNetwork, Tensor]:
    torch.manual_seed(0)
    x = torch.rand(4, 6, *[6] * (layer.weight.dim() - 2))
    return tunable(basis, layer, **options).double(), x.double()


def _refuse_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples must run together, or a loop would be compared with itself."""

    def run(*_: object) -> None:
        raise AssertionError("samples ran by groups")

    monkeypatch.setattr("tunable_models.network.run_by_groups", run)


@pytest.mark.parametrize("blends", [False, True])
@pytest.mark.parametrize(("layer", "basis", "options"), CASES, ids=str)
def test_per_sample_convolutions_equal_a_loop_with_gradients(
    layer: nn.Module,
    basis: BasisName,
    options: dict[str, object],
    blends: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tunable_models._execution.per_sample._blending_is_cheaper", lambda *_: blends)
    _refuse_groups(monkeypatch)
    network, x = _layer_of(layer, basis, options)
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


@pytest.mark.parametrize("basis", ["delta", "affine"])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_large_kernels_without_gradients_equal_a_loop(
    layer: nn.Module, basis: BasisName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunable_models._execution.per_sample._LARGE", 0)
    monkeypatch.setattr("tunable_models._execution.per_sample._blending_is_cheaper", lambda *_: False)
    _refuse_groups(monkeypatch)
    network, x = _layer_of(layer, basis, {})
    omega = omegas(network, 4).double()
    with torch.no_grad():
        whole = network(x, omega=omega)
        loop = torch.cat([network(x[i : i + 1], omega=omega[i]) for i in range(4)])
    torch.testing.assert_close(whole, loop)


@pytest.mark.parametrize(
    ("layer", "side", "options", "blends"),
    [
        (nn.Conv2d(64, 64, 1), 2, {}, True),
        (nn.Conv2d(64, 64, 1), 32, {}, False),
        (nn.Conv2d(64, 64, 1), 8, {"rank": 2}, True),
        (nn.Conv2d(64, 64, 3, padding=1, groups=64), 2, {}, False),
        (nn.Conv2d(64, 64, 4, stride=4), 16, {}, True),
        (nn.ConvTranspose2d(64, 64, 4, stride=4), 16, {}, False),
    ],
)
def test_small_pictures_are_blended_and_large_ones_meet_mixed_kernels(
    layer: nn.Module, side: int, options: dict[str, object], blends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def blend(*arguments: object) -> Tensor:
        seen.append(arguments)
        return convolve_and_blend(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("tunable_models._execution.per_sample.convolve_and_blend", blend)
    network = tunable("delta", layer, **options)
    network(torch.rand(3, 64, side, side), omega=omegas(network, 3))
    assert bool(seen) == blends


def test_coefficients_of_blended_outputs_are_not_rounded_under_autocast() -> None:
    network = tunable("delta", nn.Conv2d(64, 64, 1))
    x, omega = torch.rand(2, 64, 1, 1), torch.tensor([[0.501, 0.0], [0.499, 0.0]])
    deltas = network.network.weight_deltas
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        network.network.weight.zero_(), network.network.bias_deltas.zero_(), network.network.bias.zero_()
        deltas.fill_(2.0**-6)
        output = network(x.fill_(1.0), omega=omega)
    assert output.dtype == torch.bfloat16
    assert torch.equal(output[:, 0, 0, 0], omega[:, 0].bfloat16())


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


@pytest.mark.parametrize("basis", ["delta", "multilinear", "linear", "affine"])
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
