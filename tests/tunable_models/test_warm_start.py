"""A tunable network that begins as specialists: exact where the basis can be, least squares elsewhere."""

import copy

import pytest
import torch
from torch import Tensor, nn

from networks import Mixed
from tunable_models import ControlSpace, ConversionError, OmegaError
from tunable_models.bases import BasisName
from tunable_models.warm_start import from_specialists

SIMPLEX = ControlSpace.simplex("a", "b", "c")
BOX = ControlSpace.box("a", "b")
CORNERS = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
VERTICES = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))


class Normed(nn.Sequential):
    """Convolutions, a norm and a buffer that specialists have each their own of."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 3, 1))


def specialists(count: int, source: nn.Module | None = None) -> list[nn.Module]:
    torch.manual_seed(0)
    first = source or Normed()
    found = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        other = copy.deepcopy(first).eval()
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        found.append(other)
    return found


def interpolated(networks: list[nn.Module], weights: Tensor) -> nn.Module:
    """Deep network interpolation, by its definition."""
    result = copy.deepcopy(networks[0])
    states = [network.state_dict() for network in networks]
    result.load_state_dict(
        {name: sum(w * state[name] for w, state in zip(weights, states, strict=True)) for name in states[0]}
    )
    return result


@torch.no_grad()
def same(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("basis", "space", "omegas"),
    [
        ("linear", SIMPLEX, VERTICES),
        ("delta", SIMPLEX, VERTICES),
        ("affine", SIMPLEX, VERTICES),
        ("delta", BOX, CORNERS[:3]),
        ("multilinear", BOX, CORNERS),
    ],
)
def test_exact_at_every_vertex(
    basis: BasisName, space: ControlSpace, omegas: list[tuple[float, ...]]
) -> None:
    networks = specialists(len(omegas))
    start = from_specialists(networks[0], dict(zip(omegas, networks, strict=True)), space, basis)
    for omega, network in zip(omegas, networks, strict=True):
        assert same(start.network(X, omega=torch.tensor(omega)), network(X))
    assert start.residual < 1e-6
    assert max(start.residuals.values()) < 1e-6
    assert set(start.residuals) == set(networks[0].state_dict())


@pytest.mark.parametrize("basis", ["linear", "delta"])
def test_between_vertices_it_is_network_interpolation(basis: BasisName) -> None:
    networks = specialists(3)
    start = from_specialists(networks[0], dict(zip(VERTICES, networks, strict=True)), SIMPLEX, basis)
    for weights in torch.tensor([[0.2, 0.3, 0.5], [0.0, 0.6, 0.4]]):
        assert same(start.network(X, omega=weights), interpolated(networks, weights)(X))


def test_a_corner_too_many_is_met_by_least_squares() -> None:
    networks = specialists(4)
    start = from_specialists(networks[0], dict(zip(CORNERS, networks, strict=True)), BOX, "delta")
    design = torch.tensor([[1, *corner] for corner in CORNERS])
    for name in networks[0].state_dict():
        wanted = torch.stack([network.state_dict()[name].flatten() for network in networks])
        best = design @ torch.linalg.lstsq(design, wanted).solution
        residual = (best - wanted).norm() / (wanted - wanted.mean(0)).norm()
        assert start.residuals[name] == pytest.approx(residual.item(), rel=1e-4)
    assert 0.1 < start.residual < 1


def test_what_specialists_leave_open_stays_near_the_source() -> None:
    source, strong = specialists(2)
    start = from_specialists(source, {(0.0, 0.0): source, (1.0, 0.0): strong}, BOX, "delta")
    assert same(start.network(X, omega=torch.tensor([1.0, 0.0])), strong(X))
    assert same(start.network(X, omega=torch.tensor([0.0, 1.0])), source(X))


def test_low_rank_deltas_are_truncated_and_the_residual_says_how_much() -> None:
    weak, strong = specialists(2, nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False)))
    pair = {(0.0,): weak, (1.0,): strong}
    starts = {rank: from_specialists(weak, pair, 1, "delta", rank=rank) for rank in (1, 2, 4)}
    delta = (strong[0].weight - weak[0].weight).detach().flatten(1)  # type: ignore[union-attr, operator]
    sizes = torch.linalg.svdvals(delta)
    for rank, start in starts.items():
        lost = sizes[rank:].norm() / ((delta / 2).norm() * 2**0.5)
        assert start.residual == pytest.approx(lost.item(), rel=1e-3)


def test_a_low_rank_can_be_worse_than_the_mean() -> None:
    weak, strong = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        strong.weight.copy_(weak.weight + torch.eye(8))
    start = from_specialists(weak, {(0.0,): weak, (1.0,): strong}, 1, "delta", rank=1)
    # Seven of eight equal directions are lost, all at one end; the mean would lose half of all at both.
    assert start.residual == pytest.approx((7 / 4) ** 0.5, rel=1e-4)


def test_both_factors_learn_where_a_delta_is_smaller_than_its_rank() -> None:
    weak, strong = specialists(2, nn.Sequential(nn.Conv2d(3, 8, 3, padding=1)))
    with torch.no_grad():  # a delta of rank 1
        strong[0].weight.copy_(weak[0].weight)  # type: ignore[union-attr, operator]
        strong[0].weight[0, 0, 0, 0] += 1  # type: ignore[union-attr, index]
    network = from_specialists(weak, {(0.0,): weak, (1.0,): strong}, 1, "delta", rank=3).network
    for _ in range(2):
        network.zero_grad()
        network(X, omega=torch.tensor([0.7])).square().mean().backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.1 * parameter.grad
    factors = {n: p for n, p in network.named_parameters() if n.endswith(("_out", "_in"))}
    assert len(factors) == 2
    for parameter in factors.values():
        other = parameter.grad.movedim(3 if parameter.shape[3] == 3 else 2, 0)  # type: ignore[union-attr]
        assert all(component.any() for component in other)


def test_grouped_transposed_and_tied_layers() -> None:
    networks = specialists(3, Mixed())
    start = from_specialists(networks[0], dict(zip(VERTICES, networks, strict=True)), SIMPLEX, "delta")
    for omega, network in zip(VERTICES, networks, strict=True):
        assert same(start.network(X, omega=torch.tensor(omega)), network(X))


def test_tensors_that_are_not_tunable_get_the_mean() -> None:
    networks = specialists(2)
    pair = dict(zip([(0.0,), (1.0,)], networks, strict=True))
    start = from_specialists(networks[0], pair, 1, include=None)
    mean = (networks[0][1].weight + networks[1][1].weight) / 2  # type: ignore[index]
    torch.testing.assert_close(start.network.network[1].weight, mean)  # type: ignore[index]
    assert start.residuals["1.weight"] == pytest.approx(1)
    assert start.residuals["0.weight"] < 1e-6


def test_a_state_is_as_good_as_a_network() -> None:
    weak, strong = specialists(2)
    by_state = from_specialists(weak, {(0.0,): weak.state_dict(), (1.0,): strong.state_dict()}, 1)
    assert same(by_state.network(X, omega=torch.tensor([1.0])), strong(X))


def test_one_specialist_everywhere() -> None:
    source, other = specialists(2)
    start = from_specialists(source, {(0.0, 0.0): other}, BOX)
    assert same(start.network(X, omega=torch.tensor([0.0, 0.0])), other(X))
    assert start.residual == 0
    assert start.residuals == {}


def test_trained_deltas_leave_the_base() -> None:
    weak, strong = specialists(2)
    network = from_specialists(weak, {(0.0,): weak, (1.0,): strong}, 1, train="deltas").network
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("_deltas" in name for name in trained)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("0.bias"), "missing: 0.bias"),
        (lambda state: state.update({"extra": torch.zeros(1)}), "not the network's: extra"),
        (
            lambda state: state.update({"0.bias": torch.zeros(9)}),
            r"of another shape: 0.bias \(\(9,\).*\(8,\)",
        ),
        (lambda state: state.update({"0.bias": 2}), "no tensors: 0.bias"),
    ],
)
def test_a_specialist_of_another_network_is_refused(change: object, said: str) -> None:
    source = Normed()
    state = dict(source.state_dict())
    change(state)  # type: ignore[operator]
    with pytest.raises(ConversionError, match=said):
        from_specialists(source, {(1.0,): state}, 1)


def test_omegas_of_another_space_are_refused() -> None:
    source = Normed()
    for omega in [(0.5, 0.5), (2.0,)]:
        with pytest.raises(OmegaError):
            from_specialists(source, {omega: source}, 1)
    with pytest.raises(ConversionError, match="at least one"):
        from_specialists(source, {}, 1)


def test_whole_numbers_are_omegas_too() -> None:
    weak, strong = specialists(2)
    start = from_specialists(weak, {(0,): weak, (1,): strong}, 1)
    torch.testing.assert_close(start.network(X, omega=torch.tensor([1.0])), strong(X))
