import copy
import pickle
import threading
from collections.abc import Callable
from typing import NamedTuple, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks import Mixed, omegas, perturb, tunable
from tunable_models import (
    ControlSpace,
    ConversionError,
    OmegaError,
    TunableNetwork,
    View,
    build,
    fold,
    make_tunable,
)
from tunable_models.bases import BasisName

X = torch.rand(5, 3, 9, 7, generator=torch.Generator().manual_seed(3))
X_EVEN = X[..., :8, :6]


def test_one_hot_omega_equals_the_plain_convolution() -> None:
    network = tunable("linear", nn.Conv2d(3, 5, 3, padding=1))
    for j in range(2):
        plain = F.conv2d(X, network.network.weight[j], network.network.bias[j], padding=1)
        assert torch.equal(network(X, omega=torch.eye(2)[j]), plain)


def test_starts_as_its_source_at_every_omega(network: TunableNetwork) -> None:
    source = Mixed().eval()
    fresh = make_tunable(source, network.space, network.spec.basis).eval()
    for omega in omegas(network, 4):
        torch.testing.assert_close(fresh(X_EVEN, omega=omega), source(X_EVEN))


def test_a_batch_equals_a_loop(network: TunableNetwork) -> None:
    omega = omegas(network, 5)
    loop = torch.cat([network(X_EVEN[i : i + 1], omega=omega[i]) for i in range(5)])
    torch.testing.assert_close(network(X_EVEN, omega=omega), loop)


@pytest.mark.parametrize("module", [Mixed(), build("edsr", width=4, blocks=1)])
@pytest.mark.parametrize("rows", [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 2, 3, 4]])
def test_every_row_of_omega_gets_its_own_gradient(module: nn.Module, rows: list[int]) -> None:
    network = tunable("delta", module)
    gradients = []
    for whole in (True, False):
        omega = omegas(network, 5)[rows].requires_grad_()
        if whole:
            output = network(X_EVEN, omega=omega)
        else:
            output = torch.cat([network(X_EVEN[i : i + 1], omega=omega[i]) for i in range(5)])
        gradients.append(torch.autograd.grad(output.square().sum(), omega)[0])
    torch.testing.assert_close(*gradients)


def test_view_equals_forward_and_leads_no_gradient_to_the_kernels(network: TunableNetwork) -> None:
    omega = omegas(network, 1)[0]
    output = network.at(omega)(X_EVEN)
    torch.testing.assert_close(output, network(X_EVEN, omega=omega))
    output.sum().backward()
    assert network.network.head.weight.grad is None


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda view: pickle.loads(pickle.dumps(view))])
def test_views_can_be_copied(network: TunableNetwork, copied: Callable[[View], View]) -> None:
    view = network.at(omegas(network, 1)[0])
    other = copied(view)
    wanted = view(X_EVEN)
    perturb(network)
    assert torch.equal(other(X_EVEN), wanted)
    assert repr(other) == repr(view)


def test_view_takes_native_values() -> None:
    network = tunable("delta")
    by_omega = network(X_EVEN, omega=torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(network.at(a=0.25)(X_EVEN), by_omega)
    assert repr(network.at(a=0.25)) == "View(a=0.25, b=1)"
    with pytest.raises(OmegaError, match="both"):
        network.at(torch.rand(2), a=0.5)


def test_gradients_reach_every_kernel(network: TunableNetwork) -> None:
    network.train()
    network(X_EVEN, omega=omegas(network, 5)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        stacks = parameter.grad.flatten(1) if parameter.dim() > 1 else parameter.grad[:, None]
        assert (stacks.abs().amax(1) > 0).all(), name


def test_training_moves_kernels_apart_from_a_fresh_start() -> None:
    network = make_tunable(nn.Conv2d(3, 3, 3), ControlSpace.simplex("a", "b"), "linear")
    omega = omegas(network, 5)
    network(X, omega=omega).square().mean().backward()
    assert not torch.equal(network.network.weight.grad[0], network.network.weight.grad[1])


def test_two_threads_with_two_omegas_on_one_network() -> None:
    network = tunable("delta", build("edsr", width=8, blocks=1))
    settings = omegas(network, 2)
    expected = [network(X, omega=omega) for omega in settings]
    state = copy.deepcopy(network.state_dict())
    wrong: list[int] = []

    def call(index: int) -> None:
        with torch.inference_mode():
            wrong.extend(
                index
                for _ in range(200)
                if not torch.allclose(network(X, omega=settings[index]), expected[index], atol=1e-5)
            )

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("basis", ["affine", "delta", "multilinear"])
def test_mixing_keeps_float32_under_autocast(basis: BasisName) -> None:
    network = tunable(basis, nn.Conv2d(3, 3, 1))
    fine = torch.tensor([0.5, 0.5 + 2**-10])  # bfloat16 cannot tell the second from 0.5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = network.mixed(fine)
    assert torch.equal(mixed[""]["weight"], network.mixed(fine)[""]["weight"])


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor, y: Tensor, *, scale: float) -> dict[str, tuple[Tensor, Tensor]]:
        return {"both": (self.a(x) * scale, self.b(y))}


def test_several_inputs_and_nested_outputs() -> None:
    network = tunable("delta", Several())
    x, y, omega = torch.rand(4, 2), torch.rand(4, 3), omegas(network, 4)[[0, 1, 0, 2]]
    whole = network(x, y, omega=omega, scale=2.0)["both"]
    for i in range(4):
        one = network(x[i : i + 1], y[i : i + 1], omega=omega[i], scale=2.0)["both"]
        torch.testing.assert_close([part[i : i + 1] for part in whole], list(one))


@pytest.mark.parametrize("prepare", [lambda network: network, lambda network: network.eval().train()])
def test_batch_norm_keeps_its_statistics_in_training(prepare: Callable[[nn.Module], nn.Module]) -> None:
    network = prepare(make_tunable(Mixed().train(), 2))
    before = network.network.norm.running_mean.clone()
    network(X_EVEN + 3, omega=torch.rand(2))
    assert network.training
    assert torch.equal(network.network.norm.running_mean, before)


class Pair(NamedTuple):
    a: Tensor
    b: Tensor


class Wrapped(nn.Module):
    """Takes and gives what is no plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = nn.Linear(2, 2)

    def forward(self, x: Tensor | list[Tensor]) -> Pair:
        y = self.keys(x[0] if isinstance(x, list) else x)
        return Pair(y, y + 1)


def test_named_outputs_and_layers_named_like_methods() -> None:
    network = tunable("affine", Wrapped())
    x, omega = torch.rand(4, 2), omegas(network, 4)[[0, 1, 1, 0]]
    pair = network(x, omega=omega)
    assert isinstance(pair, Pair)
    torch.testing.assert_close(pair.a[:1], network(x[:1], omega=omega[0]).a)


def test_a_batch_that_cannot_be_split_is_refused_not_mixed_up() -> None:
    omega = omegas(tunable("delta"), 4)[[0, 1, 1, 0]]
    with pytest.raises(ConversionError, match="got tensors in a list; use one omega"):
        tunable("delta", Wrapped())([torch.rand(4, 2)], omega=omega)
    with pytest.raises(ConversionError, match="where the inputs have it"):
        tunable("delta", nn.Sequential(nn.Linear(2, 2), nn.Flatten(0)))(torch.rand(4, 2), omega=omega)


def test_state_dict_round_trip(network: TunableNetwork) -> None:
    other = make_tunable(Mixed(), network.space, network.spec.basis).eval()
    other.load_state_dict(network.state_dict())
    omega = omegas(network, 1)[0]
    assert torch.equal(other(X_EVEN, omega=omega), network(X_EVEN, omega=omega))


def test_the_source_is_left_as_it_is() -> None:
    source = Mixed()
    shapes = {name: tensor.shape for name, tensor in source.state_dict().items()}
    make_tunable(source, 2)
    assert {name: tensor.shape for name, tensor in source.state_dict().items()} == shapes


@pytest.mark.parametrize(
    ("omega", "words"),
    [
        (torch.tensor([float("nan"), 0.5]), "finite"),
        (torch.tensor([0.5, float("inf")]), "finite"),
        (torch.tensor([0.5, 1.5]), "within"),
        (torch.tensor([-0.1, 0.5]), "within"),
        (torch.tensor([0.5]), "shape"),
        (torch.rand(1, 2, 2), "shape"),
        (torch.rand(0, 2), "shape"),
        (torch.tensor([0, 1]), "floating"),
        (torch.rand(2, device="meta"), "on cpu"),
        ([0.5, 0.5], "tensor"),
        (torch.rand(3, 2), "3 rows"),
    ],
)
def test_bad_omega_is_refused(omega: Tensor, words: str) -> None:
    network = tunable("delta")
    with pytest.raises(OmegaError, match=words):
        network(X_EVEN, omega=omega)


def test_simplex_omega_must_sum_to_one() -> None:
    with pytest.raises(OmegaError, match="sum to 1"):
        tunable("linear")(X_EVEN, omega=torch.tensor([0.5, 0.4]))


USES: list[Callable[[TunableNetwork], object]] = [
    lambda net: net(torch.rand(2, 3, 8, 8), omega=torch.rand(2)),
    lambda net: net(torch.rand(2, 3, 8, 8), omega=torch.rand(2, 2)),
    lambda net: net(torch.rand(2, 3, 8, 8), omega=torch.rand(2, 2, 8, 8)),
    lambda net: net.at(torch.rand(2)),
    lambda net: fold(net, torch.rand(2)),
    lambda net: net.to(torch.float64),
    lambda net: net.device,
]


@pytest.mark.parametrize("basis", ["delta", "affine"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda net: net.__setitem__(0, nn.Conv2d(3, 3, 1)),
            r"0\.weight, got Conv2d without kernels of shape",
        ),
        (lambda net: net.__setitem__(0, nn.Identity()), r"0\.weight, got Identity without kernels of shape"),
        (lambda net: net.__setitem__(0, None), r"0\.weight, got nothing"),
        (lambda net: net.__delitem__(0), r"0\.weight, got ReLU without kernels of shape"),
        (lambda net: setattr(net[0], "bias", None), r"0\.bias, got Conv2d without kernels of shape"),
    ],
)
def test_a_tunable_layer_that_was_replaced_is_refused_by_name(
    change: Callable[[nn.Sequential], object], message: str, basis: BasisName
) -> None:
    net = make_tunable(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), 2, basis)
    change(cast(nn.Sequential, net.network))
    for use in USES:
        with pytest.raises(
            ConversionError, match=f"expected the kernels .* at {message}.*; change the source"
        ):
            use(net)


def test_layers_that_are_not_tunable_may_be_replaced() -> None:
    net = make_tunable(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1)), 2, exclude=["2.*"])
    layers = cast(nn.Sequential, net.network)
    layers[1], layers[2] = nn.Identity(), nn.Conv2d(3, 5, 1)
    x, omega = torch.rand(2, 3, 8, 8), torch.rand(2, 2)
    assert net(x, omega=omega).shape == (2, 5, 8, 8)
    assert torch.allclose(net(x[:1], omega=omega[0]), fold(net, omega[0])(x[:1]), atol=1e-6)


def test_a_module_that_cannot_be_copied_is_named_with_the_reason() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].last = module(torch.rand(1, 2))
    with pytest.raises(ConversionError, match=r"cannot copy Sequential.*0\.last is a tensor"):
        make_tunable(module, 2)
