import re
from typing import Any

import pytest
import torch

from pipelines.errors import DataError
from pipelines.paths import Layout
from pipelines.records import read_json, write_json_atomic
from pipelines.trained import load_trained
from tunable_models import TunableNetwork


def test_what_was_trained_is_loaded(trained: Layout, network: TunableNetwork) -> None:
    loaded, record = load_trained(trained)
    assert not loaded.training
    assert (loaded.space, loaded.basis) == (network.space, network.basis)
    x, omega = torch.rand(1, 3, 12, 12), torch.tensor([0.3, 0.8])
    assert torch.equal(loaded.at(omega)(x), network.at(omega)(x))
    assert record["task"] == "denoise-deblur"


@pytest.mark.parametrize("place", [10, -1])
def test_damaged_weights_are_refused(trained: Layout, place: int) -> None:
    weights = trained.train / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[place] ^= 1
    weights.write_bytes(data)
    with pytest.raises(DataError, match=r"SHA-256.*pipelines train"):
        load_trained(trained)


@pytest.mark.parametrize("file", ["record.json", "model.safetensors"])
def test_a_missing_file_is_an_error(trained: Layout, file: str) -> None:
    (trained.train / file).unlink()
    with pytest.raises(DataError, match=rf"{re.escape(file)}.*pipelines train"):
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
    with pytest.raises(DataError, match="pipelines train"):
        load_trained(trained)


def test_a_record_that_is_no_json_is_an_error(trained: Layout) -> None:
    (trained.train / "record.json").write_text("{")
    with pytest.raises(DataError, match="pipelines train"):
        load_trained(trained)
