import json
from dataclasses import asdict
from typing import Any

import pytest
import torch

from plain_networks import SMALL
from tunable_models import ArchitectureError, build, get_architecture, list_architectures
from tunable_models.architectures import list_presets

Case = tuple[str, dict[str, Any]]

PARAMETERS = {
    "drunet": {"color": 32_640_960, "half-s": 590_400, "half-m": 2_351_232, "half-l": 10_066_176},
    "edsr": {
        "baseline-x1": 1_185_219,
        "baseline-x2": 1_369_859,
        "baseline-x3": 1_554_499,
        "baseline-x4": 1_517_571,
        "large-x2": 40_729_603,
        "large-x3": 43_680_003,
        "large-x4": 43_089_923,
    },
    "nafnet": {
        "w32": 29_159_715,
        "w64": 115_982_915,
        "deblur-w32": 17_111_907,
        "deblur-w64": 67_888_835,
    },
    "stylenet": {"johnson": 1_679_235, "tunable": 8_780_739},
    "swinir": {
        "denoise-m": 11_504_163,
        "denoise-light": 905_283,
        "sr2-m": 11_752_487,
        "sr3-m": 11_937_127,
        "sr4-m": 11_900_199,
        "sr2-light": 910_152,
        "sr3-light": 918_267,
        "sr4-light": 929_628,
    },
}
"""Of every preset; those of the papers' tables are the published figures."""


@pytest.mark.parametrize("name", list_architectures())
@pytest.mark.slow
def test_parameter_counts_of_the_published_sizes(name: str) -> None:
    assert list_presets(name) == list(PARAMETERS[name])
    with torch.device("meta"):
        counts = {p: sum(t.numel() for t in build(name, p).parameters()) for p in list_presets(name)}
    assert counts == PARAMETERS[name]


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_builds_with_its_defaults_and_states_its_contract(name: str) -> None:
    architecture = get_architecture(name)
    assert architecture.name == name
    with torch.device("meta"):
        network = build(name)
    assert type(network) is architecture.network
    contract = architecture.contract()
    assert (contract.channels, contract.scale, contract.multiple) == (3, 1, 1)


def test_names_are_listed_once_and_in_order() -> None:
    assert list_architectures() == sorted(set(list_architectures()))
    assert sorted(PARAMETERS) == list_architectures()


@pytest.mark.slow
def test_every_side_from_1_to_70_px_goes_through(case: Case) -> None:
    name, config = case
    torch.manual_seed(0)
    network, scale = build(name, **config).eval(), get_architecture(name).contract(**config).scale
    with torch.no_grad():
        for height in range(1, 71):
            width = height * 29 % 71  # every width once, in another order
            output = network(torch.rand(1, 3, height, width))
            assert output.shape == (1, 3, scale * height, scale * width), (height, width)
            assert output.dtype == torch.float32
            assert output.isfinite().all()


def test_every_parameter_receives_a_gradient(case: Case) -> None:
    name, config = case
    network = build(name, **config)
    network(torch.rand(2, 3, 9, 5)).square().sum().backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path


def test_samples_of_a_batch_do_not_meet(case: Case) -> None:
    name, config = case
    torch.manual_seed(0)
    network = build(name, **config).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x = torch.rand(3, 3, 9, 5, dtype=torch.float64)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))


def test_the_alignment_of_network_and_contract_agree(case: Case) -> None:
    name, config = case
    alignment = build(name, **config).alignment
    assert type(alignment) is int
    assert alignment == get_architecture(name).contract(**config).alignment


@pytest.mark.parametrize(
    ("name", "config"), [(name, config) for name in ("drunet", "edsr", "swinir") for config in SMALL[name]]
)
def test_moving_the_input_by_the_alignment_moves_the_output(name: str, config: dict[str, Any]) -> None:
    contract = get_architecture(name).contract(**config)
    assert contract.radius_px is not None
    torch.manual_seed(0)
    network = build(name, **config).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    shift, scale = contract.alignment, contract.scale
    halo = -(-contract.radius_px // shift) * shift
    x = torch.rand(1, 3, 2 * halo + 3 * shift, shift, dtype=torch.float64)
    inner = slice(scale * halo, scale * (halo + shift))
    tile = network(x[..., shift : 2 * halo + 2 * shift, :])[..., inner, :]
    moved = network(x)[..., scale * shift :, :][..., inner, :]
    torch.testing.assert_close(moved, tile, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", list_architectures())
@pytest.mark.slow
def test_a_network_exported_at_one_size_runs_at_others(name: str) -> None:
    config = SMALL[name][-1]
    torch.manual_seed(0)
    network = build(name, **config).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    least = get_architecture(name).contract(**config).alignment + 1  # torch tells sides of 1 apart
    height, width = (torch.export.Dim(side, min=max(least, 2), max=4096) for side in ("height", "width"))
    program = torch.export.export(
        network, (torch.rand(1, 3, 24, 40),), dynamic_shapes={"x": {2: height, 3: width}}, strict=False
    ).module()
    for size in ((least + 1, least + 2), (33, 64)):
        x = torch.rand(1, 3, *size)
        torch.testing.assert_close(program(x), network(x))


def test_configurations_survive_json(case: Case) -> None:
    name, config = case
    architecture = get_architecture(name)
    checked = architecture.config(**config)
    assert architecture.config_class(**json.loads(json.dumps(asdict(checked)))) == checked
    assert architecture.config(**architecture.options(**config)) == checked


@pytest.mark.parametrize("name", list_architectures())
def test_explicit_options_go_before_those_of_a_preset(name: str) -> None:
    architecture = get_architecture(name)
    for preset in list_presets(name):
        for option, value in width(name, 12).items():
            assert architecture.options(preset, **{option: value})[option] == value
        assert architecture.options(preset) == json.loads(json.dumps(asdict(architecture.config(preset))))
        assert architecture.contract(preset).alignment >= 1


@pytest.mark.parametrize("name", list_architectures())
def test_unknown_options_and_presets_suggest_the_nearest(name: str) -> None:
    first = list_presets(name)[0]
    with pytest.raises(ArchitectureError, match=r"has no option 'widht'; did you mean 'widths?'"):
        build(name, widht=3)
    with pytest.raises(ArchitectureError, match=f"has no preset '{first}x'; did you mean '{first}'"):
        build(name, f"{first}x")
    with pytest.raises(ArchitectureError, match="has no preset 'zzz'; expected one of"):
        build(name, "zzz")


@pytest.mark.parametrize("name", list_architectures())
@pytest.mark.parametrize("value", [0, -1, 10**9, 8.0, True, "8", None, [8]])
def test_impossible_widths_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ArchitectureError, match=r"width(s\[0\])? must be an integer from 1"):
        build(name, **width(name, value))


def width(name: str, value: Any) -> dict[str, Any]:
    """The option that makes an architecture so wide at full resolution."""
    return {"widths": [value, 8]} if name == "drunet" else {"width": value}


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ArchitectureError, match="did you mean 'edsr'"):
        build("edrs")
    with pytest.raises(ArchitectureError, match="expected one of"):
        build("zzz")
    with pytest.raises(ArchitectureError, match="did you mean 'swinir'"):
        list_presets("swinr")
