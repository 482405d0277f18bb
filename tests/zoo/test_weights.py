from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from tunable_models import TunableNetwork
from zoo.entry import Entry
from zoo.errors import IntegrityError, ManifestError
from zoo.manifest import WEIGHTS
from zoo.weights import MAX_PARAMETERS, PACKAGE, encode_weights, rebuild_network


@pytest.fixture
def data(entry: Entry) -> bytes:
    return entry.contents()[WEIGHTS]


def test_a_rebuilt_network_is_the_one_that_was_encoded(network: TunableNetwork, entry: Entry) -> None:
    copy = rebuild_network(entry.manifest, encode_weights(network))
    x, omega = torch.rand(1, 3, 9, 7), torch.tensor([0.3, 0.6])
    assert torch.equal(copy(x, omega=omega), network(x, omega=omega))
    assert not copy.training
    assert not any(parameter.requires_grad for parameter in copy.parameters())


def test_encoding_is_deterministic(network: TunableNetwork) -> None:
    assert encode_weights(network) == encode_weights(network)


def test_rebuilding_leaves_the_random_state(entry: Entry, data: bytes) -> None:
    before = torch.get_rng_state()
    rebuild_network(entry.manifest, data)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(network: TunableNetwork, entry: Entry, value: float) -> None:
    state = network.state_dict()
    name = next(iter(state))
    state[name].view(-1)[0] = value
    with pytest.raises(IntegrityError, match=f"NaN or infinity in {name}"):
        encode_weights(network)
    with pytest.raises(IntegrityError, match=f"NaN or infinity in {name}"):
        rebuild_network(entry.manifest, save(state))


def _drop(tensors: dict[str, Tensor], name: str) -> None:
    del tensors[name]


def _add(tensors: dict[str, Tensor], name: str) -> None:
    tensors[name + "2"] = torch.zeros(1)


def _reshape(tensors: dict[str, Tensor], name: str) -> None:
    tensors[name] = tensors[name].flatten()


def _halve(tensors: dict[str, Tensor], name: str) -> None:
    tensors[name] = tensors[name].half()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop, "missing: {name}$"),
        (_add, "not the network's: {name}2$"),
        (_reshape, r"of another shape or type: {name} \(\(\d+,\) float32, expected \(.*\) float32\)$"),
        (_halve, r"of another shape or type: {name} \(\(.*\) float16, expected \(.*\) float32\)$"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    entry: Entry, data: bytes, change: Callable[[dict[str, Tensor], str], None], message: str
) -> None:
    tensors = load(data)
    name = next(name for name, tensor in tensors.items() if tensor.dim() > 2)
    change(tensors, name)
    with pytest.raises(IntegrityError, match=message.format(name=name)):
        rebuild_network(entry.manifest, save(tensors))


@pytest.mark.parametrize(
    "bad", [b"", b"\x80\x04K\x01.", b"\xff" * 64, (2**40).to_bytes(8, "little") + b"{}"], ids=range(4)
)
def test_what_is_no_safetensors_is_refused(entry: Entry, bad: bytes) -> None:
    with pytest.raises(IntegrityError, match="no safetensors file"):
        rebuild_network(entry.manifest, bad)


@pytest.mark.parametrize("cut", [lambda data: data[:-1], lambda data: data + b"junk"])
def test_truncated_and_prolonged_files_are_refused(
    entry: Entry, data: bytes, cut: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(IntegrityError, match="no safetensors file"):
        rebuild_network(entry.manifest, cut(data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"id": "os.system", "config": {}}}, "unknown architecture"),
        ({"architecture": {"id": "edsr", "config": {"colour": 1}}}, "no option 'colour'"),
        ({"architecture": {"id": "edsr", "config": {"width": "8"}}}, "width"),
        ({"architecture": {"id": "edsr", "config": {"width": 10**12}}}, "width"),
        ({"architecture": {"id": "edsr", "config": {"name": "edsr"}}}, "name"),
        ({"basis": "cubic"}, "basis"),
    ],
)
def test_a_network_that_cannot_be_built_is_a_fault_of_the_manifest(
    entry: Entry, data: bytes, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        rebuild_network(entry.manifest.replace(**changes), data)


def test_a_monstrous_network_is_refused_before_it_is_allocated(entry: Entry, data: bytes) -> None:
    config = {"width": 1024, "blocks": 128}
    manifest = entry.manifest.replace(architecture={"id": "edsr", "config": config})
    with pytest.raises(ManifestError, match=f"the limit is {MAX_PARAMETERS:,}"):
        rebuild_network(manifest, data)


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ({"name": "tunable-sharpen", "version": "1.0"}, "tunable-sharpen 1.0: pip install tunable-sharpen"),
        ({"name": "x; rm -rf", "version": "1.0"}, "register_architecture"),
        ({"name": "tunable-sharpen"}, "register_architecture"),
        ("tunable-sharpen", "register_architecture"),
        (None, "register_architecture"),
    ],
)
def test_an_unknown_architecture_names_its_package_where_that_is_known(
    entry: Entry, data: bytes, hint: Any, message: str
) -> None:
    architecture = entry.manifest.architecture.model_copy(update={"id": "edsrs"})
    provenance = {} if hint is None else {PACKAGE: hint}
    manifest = entry.manifest.model_copy(update={"architecture": architecture, "provenance": provenance})
    with pytest.raises(ManifestError, match=f"'edsrs'.*did you mean 'edsr'.*{message}"):
        rebuild_network(manifest, data)
