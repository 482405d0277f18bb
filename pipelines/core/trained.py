"""What the ``train`` stage left: the network and the record that describes it."""

from pathlib import Path
from typing import Any

import safetensors.torch

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, sha256_file
from tunable_models import (
    ControlSpace,
    ImageContract,
    TunableError,
    TunableNetwork,
    get_architecture,
    make_tunable,
)

AGAIN = "train again: tunable run train"

SELECTION = ("rank", "include", "exclude")
"""What of a network is tunable and how, beside its basis; a record without them means all of it."""


def load_trained(layout: Layout) -> tuple[TunableNetwork, dict[str, Any]]:
    """The trained network of a work tree, as :func:`load_folder` gives it."""
    return load_folder(layout.train)


def load_folder(folder: Path) -> tuple[TunableNetwork, dict[str, Any]]:
    """A trained network, ready for inference on the CPU, and its record.

    Args:
        folder: with ``model.safetensors`` and ``record.json``, as the ``train`` stage left them.

    Raises:
        DataError: a file is missing or damaged, or the weights are not those of the record.
    """
    record = _record(folder)
    weights = folder / "model.safetensors"
    try:
        got = sha256_file(weights)
        if got != record["weights_sha256"]:
            raise DataError(f"expected SHA-256 {record['weights_sha256']} of {weights}, got {got}; {AGAIN}")
        architecture = record["architecture"]
        plain = get_architecture(architecture["id"]).build(**architecture["config"])
        space = ControlSpace.from_dict(record["space"])
        network = make_tunable(plain, space, record["basis"], **selection(record))
        network.load_state_dict(safetensors.torch.load_file(weights))
    except DataError:
        raise
    except (OSError, KeyError, TypeError, TunableError, RuntimeError) as error:
        raise _unusable(folder, error) from error
    return network.eval(), record


def selection(record: dict[str, Any]) -> dict[str, Any]:
    """The record's options of ``make_tunable`` and ``zoo.publish`` that are not their defaults."""
    return {name: record[name] for name in SELECTION if record.get(name) not in (None, [], ())}


def contract_of(record: dict[str, Any]) -> ImageContract:
    """How images go through the network of a record that :func:`load_trained` gave."""
    architecture = record["architecture"]
    return get_architecture(architecture["id"]).contract(**architecture["config"])


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = read_json(folder / "record.json")
    except (OSError, ValueError) as error:
        raise _unusable(folder, error) from error
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise DataError(f"expected a record of schema 1 in {folder}, got something else; {AGAIN}")
    return record


def _unusable(folder: Path, error: Exception) -> DataError:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return DataError(f"expected a trained network in {folder}, got {reason}; {AGAIN}")
