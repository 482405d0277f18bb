import re
from typing import Any

import pytest
import safetensors.torch
import torch

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, sha256_file, write_json_atomic
from pipelines.core.trained import load_trained
from pipelines.tasks import DenoiseDeblur
from tunable_models import TunableNetwork, build, get_architecture, make_tunable


def test_what_was_trained_is_loaded(trained: Layout, network: TunableNetwork) -> None:
    loaded, record = load_trained(trained)
    assert not loaded.training
    assert (loaded.space, loaded.spec.basis) == (network.space, network.spec.basis)
    x, omega = torch.rand(1, 3, 12, 12), torch.tensor([0.3, 0.8])
    assert torch.equal(loaded.at(omega)(x), network.at(omega)(x))
    assert record["task"] == "denoise-deblur"


@pytest.mark.parametrize("options", [{"rank": 2, "exclude": ["tail*"]}, {"include": ["body.*"]}])
def test_what_is_tunable_is_rebuilt(trained: Layout, task: DenoiseDeblur, options: dict[str, Any]) -> None:
    network = make_tunable(build("edsr", width=4, blocks=1), task.space, **options).eval()
    weights = trained.train / "model.safetensors"
    safetensors.torch.save_file(network.state_dict(), weights)
    path = trained.train / "record.json"
    complete = {"rank": None, "include": None, "exclude": [], **options}
    write_json_atomic(path, read_json(path) | complete | {"weights_sha256": sha256_file(weights)})
    loaded, record = load_trained(trained)
    assert loaded.tunable_names == network.tunable_names
    assert loaded.spec == network.spec
    assert record["weights_sha256"] == sha256_file(weights)
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(loaded.at(denoise=0.3)(x), network.at(denoise=0.3)(x))


def test_the_contract_is_the_architectures(trained: Layout) -> None:
    network, _ = load_trained(trained)
    assert network.spec.contract == get_architecture("edsr").contract(width=4, blocks=1)


@pytest.mark.parametrize("place", [10, -1])
def test_damaged_weights_are_refused(trained: Layout, place: int) -> None:
    weights = trained.train / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[place] ^= 1
    weights.write_bytes(data)
    with pytest.raises(DataError, match=r"SHA-256.*tunable run train"):
        load_trained(trained)


@pytest.mark.parametrize("file", ["record.json", "model.safetensors"])
def test_a_missing_file_is_an_error(trained: Layout, file: str) -> None:
    (trained.train / file).unlink()
    with pytest.raises(DataError, match=rf"{re.escape(file)}.*tunable run train"):
        load_trained(trained)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": {"id": "edsr", "config": {"width": 5, "blocks": 1}}},  # weights do not fit
        {"architecture": {"id": "edrs", "config": {}}},
        {"architecture": None},
        {"basis": "cubic"},
        {"space": {}},
        {"schema": 2},
        {"weights_sha256": "0" * 64},
    ],
)
def test_a_record_that_does_not_fit_is_an_error(trained: Layout, change: dict[str, Any]) -> None:
    path = trained.train / "record.json"
    write_json_atomic(path, read_json(path) | change)
    with pytest.raises(DataError, match="tunable run train"):
        load_trained(trained)


def test_a_record_that_is_no_json_is_an_error(trained: Layout) -> None:
    (trained.train / "record.json").write_text("{")
    with pytest.raises(DataError, match="tunable run train"):
        load_trained(trained)
