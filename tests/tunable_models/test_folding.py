import pytest
import torch
from torch import Tensor, nn

from networks import Mixed, omegas, perturb, tunable
from tunable_models import ConversionError, TunableNetwork, fold

X_EVEN = torch.rand(5, 3, 8, 6, generator=torch.Generator().manual_seed(3))


def test_fold_equals_forward_and_loads_into_the_source(network: TunableNetwork) -> None:
    for omega in omegas(network, 3):
        plain = fold(network, omega)
        assert type(plain) is Mixed
        expected = network(X_EVEN, omega=omega)
        assert (plain(X_EVEN) - expected).norm() <= 1e-5 * expected.norm()
        source = Mixed().eval()
        source.load_state_dict(plain.state_dict())
        assert torch.equal(source(X_EVEN), plain(X_EVEN))


def test_fold_shares_nothing(network: TunableNetwork) -> None:
    omega = omegas(network, 1)[0]
    before = network(X_EVEN, omega=omega)
    perturb(fold(network, omega))
    assert torch.equal(network(X_EVEN, omega=omega), before)


def test_fold_needs_something_tunable() -> None:
    with pytest.raises(ConversionError, match="found none"):
        fold(nn.Sequential(nn.ReLU()), torch.rand(2))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.again = self.first

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.again(self.second(self.first(x)))
        return y


def test_tied_tensors_stay_tied() -> None:
    network = tunable("delta", Tied())
    plain = fold(network, torch.rand(2))
    assert plain.first.weight is plain.second.weight
    assert plain.again is plain.first
    omega = torch.rand(2)
    torch.testing.assert_close(fold(network, omega)(torch.ones(1, 4)), network(torch.ones(1, 4), omega=omega))


@pytest.mark.parametrize("train", ["all", "deltas"])
def test_a_folded_network_trains_on(train: str) -> None:
    network = tunable("delta", nn.Linear(2, 2), train=train)
    assert all(parameter.requires_grad for parameter in fold(network, torch.rand(2)).parameters())


def test_only_the_sources_keys_are_left_at_low_rank() -> None:
    network = tunable("delta", nn.Sequential(nn.Conv2d(8, 8, 3), nn.Linear(6, 6)), rank=1)
    plain = fold(network, torch.rand(2))
    assert sorted(plain.state_dict()) == ["0.bias", "0.weight", "1.bias", "1.weight"]
