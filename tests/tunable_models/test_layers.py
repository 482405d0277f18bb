import pickle

import pytest
import torch
from torch import Tensor, nn

from tunable_models import (
    ControlSpace,
    TunableConv2d,
    TunableConvTranspose2d,
    TunableLinear,
    TunableNetwork,
    fold,
    make_tunable,
)


class Add(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + self.layer(y)


class HandBuilt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = TunableConv2d(3, 4, 3, controls=2, padding=1)
        self.again = self.conv
        self.net = make_tunable(Add(), 2)
        self.out = TunableConvTranspose2d(4, 3, 2, controls=2, stride=2)

    def forward(self, x: Tensor, omega: Tensor) -> Tensor:
        once = self.conv(x, omega)
        y: Tensor = self.out(self.net(once, self.again(x, omega), omega=omega), omega)
        return y


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (TunableConv2d(3, 4, 3, controls=2), (4, 3, 8, 8)),
        (TunableConvTranspose2d(3, 4, 3, controls=2), (4, 3, 8, 8)),
        (TunableLinear(3, 4, controls=2), (4, 5, 3)),
    ],
)
def test_a_batch_equals_a_loop(layer: TunableNetwork, shape: tuple[int, ...]) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1)
    x, omega = torch.rand(shape), torch.rand(4, 2)
    loop = torch.cat([layer(x[i : i + 1], omega[i]) for i in range(4)])
    torch.testing.assert_close(layer(x, omega), loop)


def test_one_hot_omega_selects_a_kernel() -> None:
    layer = TunableConv2d(3, 4, 3, controls=ControlSpace.simplex("a", "b"), basis="linear")
    torch.nn.init.normal_(layer.network.weight)
    x = torch.rand(1, 3, 8, 8)
    plain = nn.functional.conv2d(x, layer.network.weight[1], layer.network.bias[1])
    assert torch.equal(layer(x, torch.tensor([0.0, 1.0])), plain)


def test_a_hand_built_network_folds_to_plain_layers() -> None:
    network = HandBuilt()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-1, 1)
    x, omega = torch.rand(2, 3, 8, 8), torch.rand(2)
    plain = fold(network, omega)
    torch.testing.assert_close(plain(x, omega), network(x, omega))
    torch.testing.assert_close(plain(x, None), network(x, omega))
    torch.testing.assert_close(pickle.loads(pickle.dumps(plain))(x, omega), network(x, omega))
    assert type(plain.conv) is nn.Conv2d
    assert plain.again is plain.conv
    layers = {"conv", "again", "out", "net.layer"}
    assert set(plain.state_dict()) == {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}


def test_a_folded_network_keeps_its_other_inputs() -> None:
    network = HandBuilt()
    plain = fold(network, torch.rand(2))
    x = torch.rand(1, 4, 4, 4)
    torch.testing.assert_close(plain.net(x, x), plain.net(x, x, omega=torch.rand(2)))
