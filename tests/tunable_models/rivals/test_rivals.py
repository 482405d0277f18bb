"""Every rival method on every architecture that it knows, and what it refuses."""

from typing import Any

import pytest
import torch
from torch import nn

from tunable_models import (
    ControlSpace,
    ConversionError,
    NetworkSpec,
    TunableNetwork,
    build,
    export_program,
    fold,
    load_network,
    make_tunable,
)
from tunable_models.rivals import find_method, list_methods

SMALL: dict[str, dict[str, Any]] = {
    "drunet": {"widths": [4, 8], "blocks": 1, "unshuffle": 2},
    "edsr": {"width": 8, "blocks": 3},
    "nafnet": {"width": 4, "enc_blocks": [1], "middle_blocks": 1, "dec_blocks": [1]},
    "stylenet": {"width": 4, "blocks": 2},
    "swinir": {"width": 8, "depths": [2], "heads": [2], "window": 4},
}
UNKNOWN = {("stylenet", "noise-map"), ("swinir", "cfsnet"), ("swinir", "dynamic-net")}
RIVALS = list_methods()[1:]
PAIRS = [(name, method) for name in SMALL for method in RIVALS if (name, method) not in UNKNOWN]
ONE = ControlSpace.box("noise")
OMEGAS = torch.tensor([[0.0], [0.3], [0.3], [1.0]])


def rival(method: str, architecture: str = "edsr", space: ControlSpace = ONE) -> TunableNetwork:
    """A small network; what is random is the same every time."""
    torch.manual_seed(0)
    network: TunableNetwork = make_tunable(
        build(architecture, **SMALL[architecture]),
        space,
        method=method,  # type: ignore[arg-type]
    )
    return network.eval()


def shake(network: TunableNetwork) -> TunableNetwork:
    """The network with random numbers wherever it is trained."""
    for parameter in network.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.2)
    return network


@pytest.mark.parametrize(("architecture", "method"), PAIRS)
def test_it_starts_as_the_source_and_every_sample_has_its_own_omega(architecture: str, method: str) -> None:
    x = torch.rand(4, 3, 16, 16)
    torch.manual_seed(0)
    plain = build(architecture, **SMALL[architecture]).eval()
    network = rival(method, architecture)
    torch.testing.assert_close(network(x, omega=OMEGAS), plain(x))

    shake(network)
    together = network(x, omega=OMEGAS)
    alone = [fold(network, omega)(x[i : i + 1]) for i, omega in enumerate(OMEGAS)]
    scale = together.abs().max().item()
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5 * scale)
    assert (network(x, omega=OMEGAS[0]) - network(x, omega=OMEGAS[3])).abs().max() > 1e-5 * scale


@pytest.mark.parametrize(("architecture", "method"), PAIRS)
def test_spec_and_tensors_are_the_whole_network(architecture: str, method: str) -> None:
    network = shake(rival(method, architecture))
    spec = NetworkSpec.from_dict(network.spec.to_dict())
    assert spec == network.spec
    x = torch.rand(1, 3, 8, 8)
    again = load_network(spec, network.state_dict())
    assert torch.equal(again(x, omega=OMEGAS[1]), network(x, omega=OMEGAS[1]))


@pytest.mark.parametrize("method", RIVALS)
def test_each_phase_trains_tensors_that_matter_and_no_others(method: str) -> None:
    network, found = rival(method), find_method(method)
    assert found is not None
    phases = found.phases(ONE)
    assert sum(phase.share for phase in phases) == 1
    names = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    added = {name for name in names if found.is_added(name)}
    assert added
    assert added != names
    shake(network)  # nothing is dead because something else is zero at the start
    for phase in phases:
        network.zero_grad()
        omega = OMEGAS[1] if phase.at is None else torch.tensor(phase.at)
        network(torch.rand(1, 3, 8, 8), omega=omega).square().mean().backward()
        moved = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        wanted = {"all": names, "source": names - added, "added": added}[phase.trained]
        assert wanted <= moved, phase


@pytest.mark.parametrize("method", RIVALS)
def test_it_exports(method: str) -> None:
    network = shake(rival(method))
    x = torch.rand(1, 3, 8, 8)
    program = export_program(network, OMEGAS[1]).module()
    torch.testing.assert_close(program(x), network(x, omega=OMEGAS[1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["film", "noise-map", "cresmd"])
@pytest.mark.parametrize("space", [ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b", "c")])
def test_what_is_mixed_is_omega_itself(method: str, space: ControlSpace) -> None:
    network = rival(method, space=space)
    for omega in (torch.tensor(space.vertices[-1]), space.omega()):
        mixed = network.mixed(omega)
        assert mixed
        for tensors in mixed.values():
            torch.testing.assert_close(tensors["condition"], omega)


def test_interpolation_is_the_mean_of_two_networks() -> None:
    network = shake(rival("dni", "swinir"))
    first, second = (fold(network, torch.tensor(end)).state_dict() for end in ONE.vertices)
    middle = fold(network, torch.tensor([0.25])).state_dict()
    for name, tensor in middle.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, torch.lerp(first[name], second[name], 0.25))


@pytest.mark.parametrize("method", ["dynamic-net", "cfsnet"])
@pytest.mark.parametrize("architecture", ["drunet", "edsr"])
def test_no_pixel_sees_further_than_the_contract_says(method: str, architecture: str) -> None:
    network = shake(rival(method, architecture))
    radius, size = network.spec.contract.radius_px, 160
    assert radius is not None
    x = torch.zeros(1, 3, 3, size, requires_grad=True)
    network(x, omega=OMEGAS[0])[..., size // 2].sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().amax((0, 1, 2)).nonzero().flatten()
    assert max(size // 2 - seen.min(), seen.max() - size // 2) <= radius


@pytest.mark.parametrize(
    ("method", "space", "options", "message"),
    [
        ("dni", ControlSpace.box("a", "b"), {}, "expected one slider with two ends"),
        ("cfsnet", ControlSpace.simplex("a", "b", "c"), {}, "expected one slider with two ends"),
        ("film", ONE, {"rank": 2}, "rank=2 has no meaning"),
        ("film", ONE, {"basis": "affine"}, "needs two controls"),
        ("dni", ONE, {"exclude": ["head"]}, "exclude=.'head',. has no meaning"),
        ("flim", ONE, {}, "unknown method 'flim'; did you mean 'film'"),
    ],
)
def test_what_a_method_cannot_have_is_refused(
    method: Any, space: ControlSpace, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConversionError, match=message):
        make_tunable(build("edsr", **SMALL["edsr"]), space, method=method, **options)


@pytest.mark.parametrize(("architecture", "method"), sorted(UNKNOWN))
def test_architectures_without_a_place_for_it_are_refused(architecture: str, method: str) -> None:
    with pytest.raises(ConversionError, match=r"got StyleNet|got SwinIR"):
        rival(method, architecture)


def test_other_networks_are_refused_by_all_but_interpolation() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 3, 1))
    assert make_tunable(layer, ONE, method="dni").tunable_names == ["0.weight", "0.bias"]
    with pytest.raises(ConversionError, match="places of a rival method's layers are known, got Sequential"):
        make_tunable(layer, ONE, method="film")
